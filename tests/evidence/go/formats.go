//go:build go1.25

// The parts that need github.com/transparency-dev/formats, which needs Go 1.25.

package main

import (
	"github.com/transparency-dev/formats/log"
	cosig "github.com/transparency-dev/formats/note"
	tproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

func cosignatureVerifier(key string) (note.Verifier, error) {
	return cosig.NewVerifierForCosignatureV1(key)
}

func checkText(text string) error {
	var checkpoint log.Checkpoint
	_, err := checkpoint.Unmarshal([]byte(text))
	return err
}

func checkInclusion(i testInclusion) error {
	var p tproof.TLogProof
	if err := p.Unmarshal([]byte(i.Text)); err != nil {
		return err
	}
	v, err := note.NewVerifier(i.Key)
	if err != nil {
		return err
	}
	opened, err := note.Open(p.Checkpoint, note.VerifierList(v))
	if err != nil {
		return err
	}
	var checkpoint log.Checkpoint
	if _, err := checkpoint.Unmarshal([]byte(opened.Text)); err != nil {
		return err
	}
	var hashes [][]byte
	for _, h := range p.Hashes {
		hashes = append(hashes, h[:])
	}
	return proof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, checkpoint.Size, unhex(i.Leaf), hashes, checkpoint.Hash)
}
