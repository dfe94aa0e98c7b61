package provetsim

import (
	"net/http"
	"net/url"
	"time"
)

// adminDuration is a duration written as text.
type adminDuration time.Duration

// UnmarshalText reads "250ms".
func (d *adminDuration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = adminDuration(v)
	return err
}

// MarshalText writes "250ms".
func (d adminDuration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// adminFault is a Fault whose delay is text.
type adminFault struct {
	Fault
	Delay adminDuration `json:"delay"`
}

func (s *Sim) adminFaults(r *http.Request, path string) (int, any) {
	switch r.Method + " " + path {
	case "GET faults":
		return http.StatusOK, s.faultList()
	case "DELETE faults":
		s.ClearFaults()
		return http.StatusOK, s.faultList()
	case "POST faults":
		var f adminFault
		if err := readJSON(r, &f); err != nil {
			return adminFail(http.StatusBadRequest, err.Error())
		}
		f.Fault.Delay = time.Duration(f.Delay)
		if !f.valid() {
			return adminFail(http.StatusBadRequest, "unknown kind, or a value out of range")
		}
		s.Inject(f.Fault)
		return http.StatusCreated, s.faultList()
	case "PUT faults/webhooks":
		var f struct {
			Drop    float64       `json:"drop"`
			Double  float64       `json:"double"`
			Delay   adminDuration `json:"delay"`
			Reorder adminDuration `json:"reorder"`
			Copies  int           `json:"copies"`
			Hold    bool          `json:"hold"`
			Reverse bool          `json:"reverse"`
		}
		if err := readJSON(r, &f); err != nil {
			return adminFail(http.StatusBadRequest, err.Error())
		}
		if f.Copies < 0 || f.Copies > 1000 {
			return adminFail(http.StatusBadRequest, "copies must be 0 to 1000")
		}
		s.SetWebhookFaults(WebhookFaults{
			Drop: f.Drop, Double: f.Double, Copies: f.Copies, Delay: time.Duration(f.Delay), Reorder: time.Duration(f.Reorder),
			Hold: f.Hold, Reverse: f.Reverse,
		})
		return http.StatusOK, f
	case "POST hookup":
		var f struct {
			URL string `json:"url"`
		}
		if err := readJSON(r, &f); err != nil {
			return adminFail(http.StatusBadRequest, err.Error())
		}
		if u, err := url.Parse(f.URL); err != nil || u.Host == "" {
			return adminFail(http.StatusBadRequest, "url must be absolute")
		}
		s.PostCredentials(f.URL, nil)
		return http.StatusAccepted, f
	case "POST forbid":
		var f struct {
			Resource  string `json:"resource"`
			Forbidden bool   `json:"forbidden"`
		}
		if err := readJSON(r, &f); err != nil {
			return adminFail(http.StatusBadRequest, err.Error())
		}
		s.setForbidden(f.Forbidden, []string{f.Resource})
		return http.StatusOK, f
	case "POST clock":
		var f struct {
			Skew adminDuration `json:"skew"`
		}
		if err := readJSON(r, &f); err != nil {
			return adminFail(http.StatusBadRequest, err.Error())
		}
		s.ClockSkew(time.Duration(f.Skew))
		return http.StatusOK, f
	case "POST limits":
		var f struct {
			On bool `json:"on"`
		}
		if err := readJSON(r, &f); err != nil {
			return adminFail(http.StatusBadRequest, err.Error())
		}
		s.SetLimits(f.On)
		return http.StatusOK, f
	case "POST tokens/expire":
		s.ExpireTokens()
		return http.StatusOK, map[string]int{"tokens_issued": s.TokensIssued()}
	}
	return adminFail(http.StatusNotFound, "no such page; see /_sim/")
}

func (s *Sim) faultList() []adminFault {
	list := []adminFault{}
	for _, f := range s.Faults() {
		list = append(list, adminFault{f, adminDuration(f.Delay)})
	}
	return list
}
