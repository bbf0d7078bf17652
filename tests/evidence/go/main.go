// Conformance checks notes and proofs with the libraries of other projects.
//
// Standard input is JSON: notes with the keys that must verify them, and proofs. Standard
// output is one line "ok" or "FAILED: reason" for each.
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

type testNote struct {
	Text      string
	Keys      []string
	Cosigners []string
}

type testProof struct {
	Kind             string
	Old, Size, Index uint64
	OldRoot, Root    string
	Leaf             string
	Hashes           []string
}

type testInclusion struct {
	Text, Key, Leaf string
}

func unhex(text string) []byte {
	content, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return content
}

func checkNote(n testNote) error {
	var verifiers []note.Verifier
	for _, key := range n.Keys {
		v, err := note.NewVerifier(key)
		if err != nil {
			return err
		}
		verifiers = append(verifiers, v)
	}
	for _, key := range n.Cosigners {
		v, err := cosignatureVerifier(key)
		if err != nil {
			return err
		}
		verifiers = append(verifiers, v)
	}
	opened, err := note.Open([]byte(n.Text), note.VerifierList(verifiers...))
	if err != nil {
		return err
	}
	if len(opened.Sigs) != len(verifiers) {
		return fmt.Errorf("%d of %d signatures verified", len(opened.Sigs), len(verifiers))
	}
	return checkText(opened.Text)
}

func checkProof(p testProof) error {
	var hashes [][]byte
	for _, h := range p.Hashes {
		hashes = append(hashes, unhex(h))
	}
	if p.Kind == "consistency" {
		return proof.VerifyConsistency(rfc6962.DefaultHasher, p.Old, p.Size, hashes, unhex(p.OldRoot), unhex(p.Root))
	}
	return proof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, p.Size, unhex(p.Leaf), hashes, unhex(p.Root))
}

func main() {
	var input struct {
		Notes      []testNote
		Proofs     []testProof
		Inclusions []testInclusion
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		panic(err)
	}
	report := func(err error) {
		if err != nil {
			fmt.Printf("FAILED: %q\n", err.Error())
		} else {
			fmt.Println("ok")
		}
	}
	for _, n := range input.Notes {
		report(checkNote(n))
	}
	for _, p := range input.Proofs {
		report(checkProof(p))
	}
	for _, i := range input.Inclusions {
		report(checkInclusion(i))
	}
}
