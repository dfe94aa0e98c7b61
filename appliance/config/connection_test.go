package config

import "testing"

func TestWithConnection(t *testing.T) {
	const base = "https://provetcloud.com/1"
	for name, tt := range map[string]struct {
		base, client, sentBase string
		filled                 bool
	}{
		"nothing set": {"", "", base, true}, "address set": {base, "", base, true}, "client set": {"", "c", base, true}, "both set": {base, "c", base, true},
		"another address": {"https://provetcloud.com/2", "", base, false}, "another client": {base, "d", base, false}, "nothing sent": {"", "", "", false},
	} {
		f := Default()
		f.Provet.BaseURL, f.Provet.ClientID = tt.base, tt.client
		got := f.WithConnection(tt.sentBase, "c")
		if (got != f) != tt.filled || tt.filled && (got.Provet.BaseURL != base || got.Provet.ClientID != "c") || f.Provet.ClientID != tt.client {
			t.Errorf("%s: %+v", name, got.Provet)
		}
	}
}
