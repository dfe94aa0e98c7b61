package provetsim

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Config describes the tenant. The zero value is a usable clinic.
type Config struct {
	// ProvetID is the number of the organisation, the first part of every path. Empty: "4321".
	ProvetID string
	// ClientID and ClientSecret are the credentials of the integration. Empty: "rayhound" and "secret".
	ClientID, ClientSecret string
	// BaseURL is the origin used in absolute links, such as "http://127.0.0.1:8080", with or
	// without the ProvetID. Empty: taken from the Host of each request (and, for webhooks, from
	// the latest request or from the listener given to Serve).
	BaseURL string
	// Zone is the time zone of the tenant. Nil: UTC+02:00.
	Zone *time.Location
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
	// Seed makes the clinic, and every random choice after it, repeatable.
	Seed int64
	// ExtraPatients adds generated patients (each with an own client) to the clinic's own.
	ExtraPatients int

	// Names renames fields: resource (worklist, referral, modality, ... or the path of the
	// resource) -> default name -> name served. The name "-" hides a field. The field
	// scheduled_at of the worklist is hidden unless it is named here.
	Names map[string]map[string]string
	// StatusChoices are the values of the worklist's status. Nil: DefaultStatusChoices.
	StatusChoices []Choice
	// GenderLabels are the display texts of the gender codes 0 to 4. Empty: English ones.
	GenderLabels []string
	// Shapes says how relations are written: "worklist.patient" -> ShapeID. Default: ShapeURL.
	Shapes map[string]Shape
	// Datetimes is the way times are written.
	Datetimes DatetimeStyle
	// ReferralSameID gives every referral the id of its order.
	ReferralSameID bool
	// StaleReferral: a change of remarks or notes leaves the order's modified time alone.
	StaleReferral bool

	// TokenLifetime of access tokens. Zero: 10 h.
	TokenLifetime time.Duration
	// Latency is added to every answer of the API and of the token endpoint.
	Latency time.Duration
	// StrictFilters answers 400 to an unknown filter instead of ignoring it.
	StrictFilters bool
	// Unfilterable lists fields that are not filterable: "worklist.modified".
	Unfilterable []string
	// Unorderable lists fields that ordering ignores: "worklist.modified".
	Unorderable []string
	// Options is how much OPTIONS tells.
	Options OptionsStyle
	// DeepPagingLimit answers 400 to pages that begin beyond this many rows. Zero: no limit.
	DeepPagingLimit int
	// NoLimits switches the rate limits off.
	NoLimits bool
	// Rates replaces the calls per minute of single resources.
	Rates map[string]Rates

	// Webhooks are the hooks the clinic has set up. More can be registered through the API.
	Webhooks []Webhook
	// Delivery says how webhooks are delivered.
	Delivery Delivery
	// NoEcho: a status written through the API fires no update webhook.
	NoEcho bool

	// Admin switches the surface under /_sim/ on.
	Admin bool
	// OnPatch, when set, is called after each write of an order through the API, before it is answered.
	OnPatch func(Patch)
	// Log receives what happens, on level debug. Nil: nothing.
	Log *slog.Logger
}

// Choice is one value of an enumeration.
type Choice struct {
	Key   string `json:"key"`   // our logical name: new, scheduled, in_progress, done, discontinued, cancelled
	Value any    `json:"value"` // int or string, as served
	Label string `json:"label"` // as shown to people
}

// Text returns the value as text, the way a client compares it.
func (c Choice) Text() string { return fmt.Sprint(c.Value) }

// DefaultStatusChoices returns the status values of a tenant that is not
// configured otherwise. The numbers are invented.
func DefaultStatusChoices() []Choice {
	return []Choice{
		{"new", 0, "New"},
		{"scheduled", 1, "Scheduled"},
		{"in_progress", 2, "In progress"},
		{"done", 3, "Completed"},
		{"discontinued", 4, "Discontinued"},
		{"cancelled", 5, "Cancelled"},
	}
}

// Shape is the way a relation is written.
type Shape uint8

// The shapes. All but ShapeName can be used for single relations and for lists of them.
const (
	ShapeURL         Shape = iota // "https://host/4321/api/0.1/patient/5001/"
	ShapeID                       // 5001
	ShapeIDString                 // "5001"
	ShapeObject                   // the object without its id, as expose_ embeds it
	ShapeIDObject                 // {"id": 5001, "name": "..."}
	ShapeRelativeURL              // "/4321/api/0.1/patient/5001/"
	ShapeName                     // the bare name; for relations to objects that have one
)

// DatetimeStyle is the way times are written.
type DatetimeStyle uint8

// The styles of times.
const (
	DatetimeMixed   DatetimeStyle = iota // offset of the zone, some Z, some without microseconds
	DatetimeOffset                       // offset of the zone and microseconds
	DatetimeUTC                          // Z and microseconds
	DatetimeSeconds                      // offset of the zone, whole seconds
	DatetimeNaive                        // local time without an offset
)

// OptionsStyle is how much OPTIONS tells.
type OptionsStyle uint8

// The styles of OPTIONS.
const (
	OptionsFull      OptionsStyle = iota // metadata with actions and choices
	OptionsNoChoices                     // metadata with actions, enumerations without choices
	OptionsNoActions                     // metadata without actions, as without write permission
	OptionsForbidden                     // 403
)

// Rates are the calls per rolling minute of a resource. Zero: no limit.
type Rates struct{ List, Get, Write int }

// Webhook triggers of the imaging worklist, and those of its neighbours.
const (
	TriggerClient              = 1
	TriggerPatient             = 2
	TriggerOrderCreated        = 6
	TriggerOrderUpdated        = 7
	TriggerOrderDeleted        = 8
	contentTypeForm            = 1
	contentTypeJSON            = 2
	defaultProvetID            = "4321"
	defaultTokenLifetime       = 10 * time.Hour
	defaultPageSize            = 50
	maxPageSize                = 1000
	maxBody              int64 = 1 << 20
)

// Webhook is one registered hook.
type Webhook struct {
	Trigger     int    // TriggerOrderCreated, ...
	URL         string // target
	ContentType int    // 1 form (default), 2 JSON
	Name        string
	Department  int  // 0: the whole organisation
	Inactive    bool // switched off
}

// Delivery says how webhooks are delivered.
type Delivery struct {
	Interval    time.Duration // between attempts; zero: 60 s
	Timeout     time.Duration // of one attempt; zero: 10 s
	Retries     int           // after the first attempt; zero: 10, negative: none
	Concurrency int           // deliveries at once; zero: 4; 1 keeps their order
	JSONNumbers bool          // ids are numbers in JSON bodies, not strings
	ProvetURL   string        // value of provet_url; empty: base URL with the ProvetID
	Transport   http.RoundTripper
}

func (c Config) withDefaults() Config {
	setDefault(&c.ProvetID, defaultProvetID)
	setDefault(&c.ClientID, "rayhound")
	setDefault(&c.ClientSecret, "secret")
	setDefault(&c.TokenLifetime, defaultTokenLifetime)
	setDefault(&c.Delivery.Interval, time.Minute)
	setDefault(&c.Delivery.Timeout, 10*time.Second)
	setDefault(&c.Delivery.Retries, 10)
	setDefault(&c.Delivery.Concurrency, 4)
	c.ProvetID = strings.Trim(c.ProvetID, "/")
	c.BaseURL = tenantURL(c.BaseURL, c.ProvetID)
	if c.Zone == nil {
		c.Zone = time.FixedZone("", 2*60*60)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if len(c.StatusChoices) == 0 {
		c.StatusChoices = DefaultStatusChoices()
	}
	if len(c.GenderLabels) < 5 {
		c.GenderLabels = []string{"Unknown", "Male", "Female", "Castrated male", "Sterilized female"}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}

// tenantURL returns base with the provetID as its last element and no slash at
// the end. An empty base stays empty.
func tenantURL(base, provetID string) string {
	base = strings.TrimRight(base, "/")
	if base == "" || strings.HasSuffix(base, "/"+provetID) {
		return base
	}
	return base + "/" + provetID
}
