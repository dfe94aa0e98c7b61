package secret

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
)

const (
	// FileName is the file of the sealed secrets in the data folder.
	FileName = "secrets.sealed"
	// KeyFileName is the key file beside it, where there is nothing better.
	KeyFileName = "secrets.key"

	// MaxLength is the longest secret, in bytes.
	MaxLength = 64 << 10

	maxFile = 4 << 20
	keySize = 32
	format  = 1
)

// Names of the secrets that the appliance uses itself.
const (
	ProvetClientSecret = "provet.client_secret"
	ProvetToken        = "provet.token"
)

var (
	// ErrMissing is returned by Open for a secret that was never set.
	ErrMissing = errors.New("secret: not set")
	// ErrName is returned for a name that no secret can have.
	ErrName = errors.New("secret: a name has small letters, digits, dot, dash and underscore, 64 at most")
	// ErrLength is returned for a secret that is empty or too long.
	ErrLength = errors.New("secret: the value is empty or too long")
)

var nameRE = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// Config says where a Store lies.
type Config struct {
	Dir            string // data folder; must be set and exist
	InstallationID string // binds the secrets to the installation; empty: an id kept in the file
	CredentialsDir string // $CREDENTIALS_DIRECTORY of systemd; empty: none
	Now            func() time.Time
}

// Store is the file of sealed secrets. It is safe for use by several
// goroutines, not by several processes: only the service writes.
type Store struct {
	cfg    Config
	keeper keeper

	mu   sync.Mutex
	file file
}

// Info is what may be shown of a secret.
type Info struct {
	Name     string    `json:"name"`
	SetAt    time.Time `json:"set_at"`
	Readable bool      `json:"readable"` // false: it was sealed on another computer, set it again
}

// file is the content of secrets.sealed.
type file struct {
	Format         int             `json:"format"`
	InstallationID string          `json:"installation_id"`
	SealedKey      []byte          `json:"sealed_key,omitempty"` // by the system's means; absent with a key file
	Secrets        map[string]blob `json:"secrets"`
}

type blob struct {
	KeyID  string    `json:"key_id"`
	SetAt  time.Time `json:"set_at"`
	Nonce  []byte    `json:"nonce"`
	Sealed []byte    `json:"sealed"`
}

// keeper keeps the data key. The error of load wraps errNoKey when there is no
// key, or none that this computer could ever use.
type keeper interface {
	load(sealed []byte) (key []byte, err error)
	create() (key, sealed []byte, err error)
	means() string
}

var errNoKey = errors.New("secret: there is no usable key")

// NewStore reads the file of sealed secrets, if there is one. A damaged file is
// an error with the code RH-507; nothing is overwritten.
func NewStore(cfg Config) (*Store, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Store{cfg: cfg, keeper: newKeeper(cfg)}
	path := filepath.Join(cfg.Dir, FileName)
	b, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		id := cfg.InstallationID
		if id == "" {
			id = newID()
		}
		s.file = file{Format: format, InstallationID: id, Secrets: map[string]blob{}}
		return s, nil
	}
	if err != nil {
		return nil, unreadable("secrets", "the file "+FileName+" cannot be read", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s.file); err != nil {
		return nil, unreadable("secrets", "the file "+FileName+" is damaged", err)
	}
	if s.file.Format != format {
		return nil, unreadable("secrets", fmt.Sprintf("the file %s has format %d; this program knows %d", FileName, s.file.Format, format), nil)
	}
	if s.file.Secrets == nil {
		s.file.Secrets = map[string]blob{}
	}
	return s, nil
}

// Means says in words how the data key is kept.
func (s *Store) Means() string { return s.keeper.means() }

// Seal stores a secret under a name, replacing what was there, and returns
// after it is durable.
func (s *Store) Seal(name string, value Secret) error {
	if !nameRE.MatchString(name) {
		return ErrName
	}
	if value.Empty() || len(value.text) > MaxLength {
		return ErrLength
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next, key, gcm, err := s.prepare(name)
	if err != nil {
		return err
	}
	nonce := make([]byte, gcm.NonceSize())
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	next.Secrets[name] = blob{
		KeyID: keyID(key), SetAt: s.cfg.Now().UTC().Truncate(time.Second), Nonce: nonce,
		Sealed: gcm.Seal(nil, nonce, []byte(value.text), s.associated(name)),
	}
	if err := s.write(next); err != nil {
		return err
	}
	s.file = next
	return nil
}

// Probe does all that Seal does except that no secret changes: its error is the
// one that Seal would meet now. Call it before something that cannot be
// repeated gives a secret.
func (s *Store) Probe() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, _, _, err := s.prepare("secrets")
	if err != nil {
		return err
	}
	if err := s.write(next); err != nil {
		return err
	}
	s.file = next
	return nil
}

// prepare returns a copy of the file to change, and the data key to seal with.
// Name is what an error speaks of.
func (s *Store) prepare(name string) (next file, key []byte, gcm cipher.AEAD, err error) {
	next = s.file
	next.Secrets = map[string]blob{}
	for n, b := range s.file.Secrets {
		next.Secrets[n] = b
	}
	next.InstallationID = s.installation()
	key, err = s.keeper.load(s.file.SealedKey)
	if err != nil && !errors.Is(err, errNoKey) {
		return next, nil, nil, unreadable(name, "the key to it cannot be read", err)
	}
	if err != nil {
		// What was sealed with a lost key stays unreadable and says so; new
		// secrets get a new key.
		var sealed []byte
		if key, sealed, err = s.keeper.create(); err != nil {
			return next, nil, nil, unreadable(name, "no key could be made", err)
		}
		next.SealedKey = sealed
	}
	if gcm, err = newGCM(key); err != nil {
		return next, nil, nil, unreadable(name, "the key is unusable", err)
	}
	return next, key, gcm, nil
}

// Open returns a secret: ErrMissing when it was never set, RH-507 when it
// cannot be opened on this computer.
func (s *Store) Open(name string) (Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open(name)
}

func (s *Store) open(name string) (Secret, error) {
	b, ok := s.file.Secrets[name]
	if !ok {
		return Secret{}, fmt.Errorf("%w: %s", ErrMissing, name)
	}
	if s.file.InstallationID != s.installation() {
		return Secret{}, unreadable(name, "it belongs to another installation", nil)
	}
	key, err := s.keeper.load(s.file.SealedKey)
	if err != nil {
		return Secret{}, unreadable(name, "the key to it is missing or belongs to another computer or account", err)
	}
	if keyID(key) != b.KeyID {
		return Secret{}, unreadable(name, "it was sealed with another key", nil)
	}
	gcm, err := newGCM(key)
	if err != nil {
		return Secret{}, unreadable(name, "the key is unusable", err)
	}
	if len(b.Nonce) != gcm.NonceSize() {
		return Secret{}, unreadable(name, "it is damaged", nil)
	}
	text, err := gcm.Open(nil, b.Nonce, b.Sealed, s.associated(name))
	if err != nil {
		return Secret{}, unreadable(name, "it is damaged, or was moved here from elsewhere", err)
	}
	return New(string(text)), nil
}

// Delete forgets a secret. Deleting what is not there does nothing.
func (s *Store) Delete(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.file.Secrets[name]; !ok {
		return nil
	}
	next := s.file
	next.Secrets = map[string]blob{}
	for n, b := range s.file.Secrets {
		if n != name {
			next.Secrets[n] = b
		}
	}
	if err := s.write(next); err != nil {
		return err
	}
	s.file = next
	return nil
}

// List returns what may be shown of every secret, by name.
func (s *Store) List() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Info, 0, len(s.file.Secrets))
	for name, b := range s.file.Secrets {
		_, err := s.open(name)
		all = append(all, Info{Name: name, SetAt: b.SetAt, Readable: err == nil})
	}
	slices.SortFunc(all, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Info returns what may be shown of one secret, false when it was never set.
func (s *Store) Info(name string) (Info, bool) {
	for _, i := range s.List() {
		if i.Name == name {
			return i, true
		}
	}
	return Info{}, false
}

// InstallationID returns the id that the secrets are bound to.
func (s *Store) InstallationID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.installation()
}

func (s *Store) installation() string {
	if s.cfg.InstallationID != "" {
		return s.cfg.InstallationID
	}
	return s.file.InstallationID
}

// associated returns the data that a blob is bound to. Names have no NUL.
func (s *Store) associated(name string) []byte {
	return []byte("rayhound secret\x00" + name + "\x00" + s.installation())
}

func (s *Store) write(f file) error {
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	return writeFile(filepath.Join(s.cfg.Dir, FileName), b)
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	return cipher.NewGCM(block)
}

// keyID names a key without telling anything about it.
func keyID(key []byte) string {
	sum := sha256.Sum256(append([]byte("rayhound key id\x00"), key...))
	return hex.EncodeToString(sum[:8])
}

func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

func newKey() []byte {
	b := make([]byte, keySize)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}

func unreadable(name, reason string, cause error) error {
	return problem.New(problem.SecretUnreadable, problem.Args{"name": name, "reason": reason}, cause)
}

// readSmall reads a file of bounded size.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("secret: %s is larger than %d bytes", path, maxFile)
	}
	return os.ReadFile(path)
}

// writeFile writes a file, mode 0600, so that a power cut leaves the old or the
// new one.
func writeFile(path string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	_, err = tmp.Write(b)
	if err == nil {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("secret: write %s: %w", path, err), os.Remove(tmp.Name()))
	}
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		_ = d.Sync()  // not on Windows; there the rename is journalled
		_ = d.Close() // opened for reading
	}
	return nil
}
