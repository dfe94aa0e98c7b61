package ui

import "net/http"

// maxPairing bounds what names a relay and a pairing code, bytes.
const maxPairing = 512

// pair takes {"relay_url": "...", "code": "..."}.
func (s *Server) pair(w http.ResponseWriter, r *http.Request) (any, error) {
	takesLong(w, s.cfg.Log)
	var in struct {
		RelayURL string `json:"relay_url"`
		Code     string `json:"code"`
	}
	if err := body(r, &in); err != nil {
		return nil, err
	}
	if in.RelayURL == "" || in.Code == "" || len(in.RelayURL) > maxPairing || len(in.Code) > maxPairing {
		return nil, usage("The relay's address and the pairing code are needed")
	}
	return s.cfg.Appliance.Pair(r.Context(), in.RelayURL, in.Code)
}
