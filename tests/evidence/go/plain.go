//go:build !go1.25

// The program of an older Go, as of Debian 12: notes and proofs only.

package main

import (
	"errors"

	"golang.org/x/mod/sumdb/note"
)

var errOld = errors.New("needs Go 1.25")

func cosignatureVerifier(key string) (note.Verifier, error) { return nil, errOld }

func checkText(text string) error { return nil }

func checkInclusion(i testInclusion) error { return errOld }
