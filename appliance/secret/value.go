package secret

import (
	"fmt"
	"io"
	"log/slog"
)

const placeholder = "[secret]"

// Secret is a value that does not print. The zero value is empty.
type Secret struct{ text string }

// New wraps a text.
func New(text string) Secret { return Secret{text: text} }

// Reveal returns the text. Call it where the text is used, nowhere else.
func (s Secret) Reveal() string { return s.text }

// Empty reports whether there is no text.
func (s Secret) Empty() bool { return s.text == "" }

// String returns a placeholder.
func (Secret) String() string { return placeholder }

// Format prints a placeholder for every verb.
func (Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, placeholder) // fmt.State keeps its own errors
}

// LogValue returns a placeholder.
func (Secret) LogValue() slog.Value { return slog.StringValue(placeholder) }

// MarshalText returns a placeholder; encoding/json uses it too.
func (Secret) MarshalText() ([]byte, error) { return []byte(placeholder), nil }
