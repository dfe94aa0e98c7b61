package secret

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// description is stored with the sealed key and checked when it is opened.
const description = "Rayhound data key"

// entropy keeps other programs of the same account from opening the key by
// accident.
const entropy = "github.com/rayhound/rayhound secret v1"

// newKeeper returns the best means of this system.
func newKeeper(cfg Config) keeper {
	if k, ok := credentialKeeper(cfg); ok {
		return k
	}
	return dpapi{}
}

// dpapi seals the data key for the account the service runs under.
type dpapi struct{}

func (dpapi) load(sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, errNoKey
	}
	var out windows.DataBlob
	var name *uint16
	err := windows.CryptUnprotectData(dataBlob(sealed), &name, dataBlob([]byte(entropy)), 0, nil, windows.CRYPTPROTECT_UI_FORBIDDEN, &out)
	if err != nil {
		return nil, fmt.Errorf("%w: CryptUnprotectData: %w", errNoKey, err)
	}
	key := takeBlob(out)
	defer func() { _, _ = windows.LocalFree(windows.Handle(unsafe.Pointer(name))) }() // nothing to do about a leak of a few bytes
	if windows.UTF16PtrToString(name) != description {
		return nil, fmt.Errorf("%w: the sealed key is not ours", errNoKey)
	}
	if len(key) != keySize {
		return nil, fmt.Errorf("%w: it must have 32 bytes", errNoKey)
	}
	return key, nil
}

func (dpapi) create() (key, sealed []byte, err error) {
	key = newKey()
	name, err := windows.UTF16PtrFromString(description)
	if err != nil {
		return nil, nil, fmt.Errorf("secret: %w", err)
	}
	var out windows.DataBlob
	err = windows.CryptProtectData(dataBlob(key), name, dataBlob([]byte(entropy)), 0, nil, windows.CRYPTPROTECT_UI_FORBIDDEN, &out)
	if err != nil {
		return nil, nil, fmt.Errorf("secret: CryptProtectData: %w", err)
	}
	return key, takeBlob(out), nil
}

func (dpapi) means() string { return "Windows data protection (DPAPI) of the service's account" }

func dataBlob(b []byte) *windows.DataBlob {
	return &windows.DataBlob{Size: uint32(len(b)), Data: unsafe.SliceData(b)}
}

// takeBlob copies what the system allocated and gives it back.
func takeBlob(b windows.DataBlob) []byte {
	defer func() { _, _ = windows.LocalFree(windows.Handle(unsafe.Pointer(b.Data))) }() // nothing to do about a leak of a few bytes
	return append([]byte(nil), unsafe.Slice(b.Data, b.Size)...)
}
