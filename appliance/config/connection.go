package config

// ConnectionSecret is the name of the sealed secret with the base_url and the
// client_id that Provet Cloud sent by itself: JSON with those two keys.
const ConnectionSecret = "provet.connection"

// WithConnection returns f with the base_url and the client_id that Provet Cloud
// sent, when f leaves both empty or names the same base_url without a client_id;
// else f itself. f is not changed.
func (f *File) WithConnection(baseURL, clientID string) *File {
	if f.Provet.ClientID != "" || f.Provet.BaseURL != "" && f.Provet.BaseURL != baseURL {
		return f
	}
	filled := *f
	filled.Provet.BaseURL, filled.Provet.ClientID = baseURL, clientID
	return &filled
}
