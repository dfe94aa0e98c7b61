package config

// ConnectionSecret is the name of the sealed secret with the base_url and the
// client_id that Provet Cloud sent by itself: JSON with those two keys.
const ConnectionSecret = "provet.connection"

// WithConnection returns f with the base_url and the client_id that Provet Cloud
// sent, where f leaves them empty; f itself when it names another of the two. f is
// not changed.
func (f *File) WithConnection(baseURL, clientID string) *File {
	if p := f.Provet; p.ClientID != "" && p.ClientID != clientID || p.BaseURL != "" && p.BaseURL != baseURL || baseURL == "" {
		return f
	}
	filled := *f
	filled.Provet.BaseURL, filled.Provet.ClientID = baseURL, clientID
	return &filled
}
