// Checks a folder in the C2SP tlog-tiles layout with golang.org/x/mod/sumdb/{tlog,note}, as they come
// with Go itself.
//
// The folder also holds checkpoint.old, an older checkpoint; vkeys, one key a line, which must all have
// signed both; and proofs.json, proofs that the log's own code made. Exits with 0 and "holds ...", or with
// 1 and "REFUSED ...".
package main

import (
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

func main() {
	said, err := check(os.Args[1])
	if err != nil {
		fmt.Println("REFUSED", err)
		os.Exit(1)
	}
	fmt.Println("holds", said)
}

func check(folder string) (string, error) {
	tree, err := checkpoint(folder, "checkpoint")
	if err != nil {
		return "", err
	}
	old, err := checkpoint(folder, "checkpoint.old")
	if err != nil {
		return "", err
	}
	if old.N <= 0 || old.N >= tree.N {
		return "", errors.New("the old checkpoint is not older")
	}
	// TileHashReader checks each tile that it reads against the checkpoint's root.
	reader := tlog.TileHashReader(tree, tiles(folder))
	root, err := tlog.TreeHash(tree.N, reader)
	if err != nil {
		return "", err
	}
	if root != tree.Hash {
		return "", errors.New("the root over the tiles is not the checkpoint's")
	}
	if err := entries(folder, tree, reader); err != nil {
		return "", err
	}
	proof, err := tlog.ProveTree(tree.N, old.N, reader)
	if err != nil {
		return "", err
	}
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
		return "", fmt.Errorf("consistency by tlog: %w", err)
	}
	checked, err := proofs(folder, tree, old, reader)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d leaves, %d inclusions, consistent with %d", tree.N, checked, old.N), nil
}

// checkpoint opens a note, which every key must have signed.
func checkpoint(folder, name string) (tlog.Tree, error) {
	var tree tlog.Tree
	message, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return tree, err
	}
	vkeys, err := os.ReadFile(filepath.Join(folder, "vkeys"))
	if err != nil {
		return tree, err
	}
	var known []note.Verifier
	for _, vkey := range strings.Fields(string(vkeys)) {
		verifier, err := newVerifier(vkey)
		if err != nil {
			return tree, err
		}
		known = append(known, verifier)
	}
	opened, err := note.Open(message, note.VerifierList(known...))
	if err != nil {
		return tree, fmt.Errorf("%s: %w", name, err)
	}
	if len(opened.Sigs) != len(known) || len(opened.UnverifiedSigs) != 0 || len(known) < 3 {
		return tree, fmt.Errorf("%s: %d of %d keys signed", name, len(opened.Sigs), len(known))
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != known[0].Name() || lines[3] != "" {
		return tree, fmt.Errorf("%s is no checkpoint of %s", name, known[0].Name())
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// newVerifier adds the types of tlog-cosignature to note's own.
func newVerifier(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("malformed vkey")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) == 0 {
		return nil, errors.New("malformed vkey")
	}
	if key[0] == 0x01 {
		return note.NewVerifier(vkey)
	}
	name := parts[0]
	hashed := sha256.Sum256([]byte(name + "\n" + string(key)))
	id := binary.BigEndian.Uint32(hashed[:4])
	if fmt.Sprintf("%08x", id) != parts[1] {
		return nil, errors.New("vkey with another key's id")
	}
	switch key[0] {
	case 0x04:
		return cosigner{name, id, func(time uint64, text, signature []byte) bool {
			message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, text)
			return len(key) == 33 && ed25519.Verify(key[1:], []byte(message), signature)
		}}, nil
	case 0x06:
		public, err := mldsa.NewPublicKey(mldsa.MLDSA44(), key[1:])
		if err != nil {
			return nil, err
		}
		return cosigner{name, id, func(time uint64, text, signature []byte) bool {
			message, err := cosigned(name, time, string(text))
			return err == nil && mldsa.Verify(public, message, signature, nil) == nil
		}}, nil
	}
	return nil, fmt.Errorf("unknown signature type %#x", key[0])
}

// cosigned is the cosigned_message of a whole tree.
func cosigned(name string, time uint64, text string) ([]byte, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 3 {
		return nil, errors.New("no checkpoint")
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil {
		return nil, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil {
		return nil, err
	}
	message := append([]byte("subtree/v1\n\x00"), byte(len(name)))
	message = append(message, name...)
	message = binary.BigEndian.AppendUint64(message, time)
	message = append(append(message, byte(len(lines[0]))), lines[0]...)
	message = binary.BigEndian.AppendUint64(message, 0)
	message = binary.BigEndian.AppendUint64(message, size)
	return append(message, root...), nil
}

type cosigner struct {
	name   string
	id     uint32
	verify func(time uint64, text, signature []byte) bool
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.id }

func (c cosigner) Verify(text, signature []byte) bool {
	return len(signature) > 8 && c.verify(binary.BigEndian.Uint64(signature), text, signature[8:])
}

type tiles string

func (folder tiles) Height() int { return height }

func (folder tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		// tlog-tiles names no height: it is always eight.
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(folder), path))
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has the wrong length", path)
		}
		found = append(found, data)
	}
	return found, nil
}

func (folder tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// entries hashes every entry of every bundle, compares it with its tile and recomputes the root.
func entries(folder string, tree tlog.Tree, reader tlog.HashReader) error {
	var stored []tlog.Hash
	own := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, stored[index])
		}
		return found, nil
	})
	for first := int64(0); first < tree.N; first += 1 << height {
		width := min(1<<height, tree.N-first)
		tile := tlog.Tile{H: height, L: 0, N: first >> height, W: int(width)}
		path := strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
		bundle, err := os.ReadFile(filepath.Join(folder, path))
		if err != nil {
			return err
		}
		for at := range width {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return fmt.Errorf("%s is cut short", path)
			}
			length := 2 + int(binary.BigEndian.Uint16(bundle))
			hash := tlog.RecordHash(bundle[2:length])
			bundle = bundle[length:]
			hashes, err := tlog.StoredHashesForRecordHash(first+at, hash, own)
			if err != nil {
				return err
			}
			stored = append(stored, hashes...)
			if at == 0 || at+1 == width {
				logged, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, first+at)})
				if err != nil {
					return err
				}
				if logged[0] != hash {
					return fmt.Errorf("entry %d is not the one in the log", first+at)
				}
			}
		}
		if len(bundle) != 0 {
			return fmt.Errorf("%s is too long", path)
		}
	}
	root, err := tlog.TreeHash(tree.N, own)
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return errors.New("the root over the entries is not the checkpoint's")
	}
	return nil
}

// proofs checks what the log's own code proves.
func proofs(folder string, tree, old tlog.Tree, reader tlog.HashReader) (int, error) {
	var made struct {
		Inclusion []struct {
			Index int64
			Path  []string
		}
		Consistency []string
	}
	data, err := os.ReadFile(filepath.Join(folder, "proofs.json"))
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(data, &made); err != nil {
		return 0, err
	}
	for _, proof := range made.Inclusion {
		leaf, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, proof.Index)})
		if err != nil {
			return 0, err
		}
		path, err := hashes(proof.Path)
		if err != nil {
			return 0, err
		}
		if err := tlog.CheckRecord(path, tree.N, tree.Hash, proof.Index, leaf[0]); err != nil {
			return 0, fmt.Errorf("inclusion of leaf %d: %w", proof.Index, err)
		}
	}
	if len(made.Inclusion) < 5 {
		return 0, errors.New("too few proofs to be worth a test")
	}
	path, err := hashes(made.Consistency)
	if err != nil {
		return 0, err
	}
	if err := tlog.CheckTree(path, tree.N, tree.Hash, old.N, old.Hash); err != nil {
		return 0, fmt.Errorf("consistency: %w", err)
	}
	return len(made.Inclusion), nil
}

func hashes(texts []string) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, text := range texts {
		bytes, err := hex.DecodeString(text)
		if err != nil || len(bytes) != tlog.HashSize {
			return nil, errors.New("malformed proof")
		}
		found = append(found, tlog.Hash(bytes))
	}
	return found, nil
}
