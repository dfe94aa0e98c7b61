package ui

import "time"

// Status is the appliance at a glance.
type Status struct {
	Version        string         `json:"version"`
	Clinic         string         `json:"clinic"`
	StartedAt      time.Time      `json:"started_at"`
	Ready          bool           `json:"ready"`
	Worst          string         `json:"worst"` // worst severity of the visible problems: ok, info, warn, error
	Codes          []string       `json:"codes"` // of the visible problems
	OrdersByState  map[string]int `json:"orders_by_state"`
	Worklist       int            `json:"worklist"` // steps offered now
	Hints          int            `json:"hints"`    // orders that wait to be looked at
	Unmatched      int            `json:"unmatched"`
	Pending        int            `json:"pending"` // machines that call and are not known
	Destinations   []Destination  `json:"destinations"`
	DICOM          []string       `json:"dicom"` // addresses we listen on
	AETitle        string         `json:"ae_title"`
	HL7            []string       `json:"hl7"` // addresses we listen on for the RIS; empty without one
	RIS            []RIS          `json:"ris"`
	LastPollAt     time.Time      `json:"last_poll_at,omitzero"`
	LastSweepAt    time.Time      `json:"last_sweep_at,omitzero"`
	LastBackupAt   time.Time      `json:"last_backup_at,omitzero"`
	SecretFromEnv  bool           `json:"secret_from_env"` // the sealed client secret is overridden
	DatabaseBytes  int64          `json:"database_bytes"`
	FreeDiskBytes  int64          `json:"free_disk_bytes"`
	ClockSkew      string         `json:"clock_skew,omitempty"`
	InstallationID string         `json:"installation_id,omitempty"`
	Tunnel         *Tunnel        `json:"tunnel,omitempty"` // absent: no relay is set
}

// RIS is a RIS of the settings and how it does.
type RIS struct {
	Name          string    `json:"name"`
	Address       string    `json:"address"`
	OwnsWorklist  bool      `json:"owns_worklist"`
	LastMessageAt time.Time `json:"last_message_at,omitzero"` // received from it
	LastType      string    `json:"last_type,omitempty"`      // MSH-9 of that message
	LastAnswerAt  time.Time `json:"last_answer_at,omitzero"`  // to a message of ours, since the start
	Failing       bool      `json:"failing"`                  // it did not answer the last time
	Paused        bool      `json:"paused"`
	Waiting       int       `json:"waiting"` // messages for it
	Parked        int       `json:"parked"`
}

// Tunnel is the connection to the relay that brings notifications.
type Tunnel struct {
	RelayURL       string    `json:"relay_url"`
	Paired         bool      `json:"paired"`
	State          string    `json:"state"`               // connected, connecting, waiting, stopped, unpaired ...
	Text           string    `json:"text"`                // a sentence for people: relay last heard 12 s ago
	Transport      string    `json:"transport,omitempty"` // websocket, long-poll
	Proxy          string    `json:"proxy,omitempty"`
	ConnectedSince time.Time `json:"connected_since,omitzero"`
	LastHeardAt    time.Time `json:"last_heard_at,omitzero"`
	NextTryAt      time.Time `json:"next_try_at,omitzero"`
	LastClose      string    `json:"last_close,omitempty"`   // code and meaning
	Cursor         int64     `json:"cursor"`                 // last event that is in our inbox
	Head           int64     `json:"head"`                   // last event that the relay has
	Gaps           int64     `json:"gaps"`                   // holes ever announced
	Waiting        int       `json:"waiting"`                // events stored and not understood yet
	Unusable       int       `json:"unusable"`               // events kept that cannot be used
	LastOrderAt    time.Time `json:"last_order_at,omitzero"` // newest event about an order
	Sweeping       bool      `json:"sweeping"`               // everything is looked at again after a hole
	PollSeconds    float64   `json:"poll_seconds"`           // how often Provet Cloud is asked at present
	ClockSkew      string    `json:"clock_skew,omitempty"`
}

// Pairing is what joining a relay gave.
type Pairing struct {
	RelayURL string   `json:"relay_url"`
	ClinicID string   `json:"clinic_id"`
	Kinds    []string `json:"kinds"`    // of the inbound URLs we were given
	Replaced bool     `json:"replaced"` // there was a pairing before
	Started  bool     `json:"started"`  // the tunnel runs already; false: restart the service
}

// Destination is one that we report to: provet, ris:NAME.
type Destination struct {
	Name     string    `json:"name"`
	Paused   bool      `json:"paused"`
	Reason   string    `json:"reason,omitempty"` // why it is paused
	Ready    int       `json:"ready"`
	Leased   int       `json:"leased"`
	Parked   int       `json:"parked"`
	OldestAt time.Time `json:"oldest_at,omitzero"`
}

// Message is something we owe to a destination.
type Message struct {
	ID              int64     `json:"id"`
	Destination     string    `json:"destination"`
	Kind            string    `json:"kind"` // what it says, such as "status completed"
	AccessionNumber string    `json:"accession_number"`
	State           string    `json:"state"` // ready, leased, delivered, parked, dropped
	Paused          bool      `json:"paused"`
	CreatedAt       time.Time `json:"created_at"`
	NextAt          time.Time `json:"next_at,omitzero"`
	DoneAt          time.Time `json:"done_at,omitzero"`
	Code            string    `json:"code,omitempty"` // of the last failure
	LastError       string    `json:"last_error,omitempty"`
	Attempts        []Attempt `json:"attempts"` // newest last; only the count in lists
	AttemptCount    int       `json:"attempt_count"`
}

// Attempt is one try to deliver a message.
type Attempt struct {
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"` // delivered, later, parked
	Code    string    `json:"code,omitempty"`
	Detail  string    `json:"detail,omitempty"`
}

// OutboxFilter selects messages; the zero value is everything that is not
// delivered.
type OutboxFilter struct {
	Destination string
	State       string
	Accession   string
	All         bool // delivered ones too
	Limit       int  // 1 to 1000; 0 means 200
}

// Arrival is imaging that belongs to no order yet.
type Arrival struct {
	ID               int64        `json:"id"`
	At               time.Time    `json:"at"`
	Source           string       `json:"source"` // mpps, hl7, images
	Status           string       `json:"status"` // such as COMPLETED
	Station          string       `json:"station"`
	CallingAETitle   string       `json:"calling_ae_title"`
	Modality         string       `json:"modality"`
	PatientID        string       `json:"patient_id"`
	PatientName      string       `json:"patient_name"`
	AccessionNumber  string       `json:"accession_number"` // as the machine sent it
	StudyInstanceUID string       `json:"study_instance_uid"`
	Series           int          `json:"series"`
	Instances        int          `json:"instances"`
	Reason           string       `json:"reason"`    // why it matched nothing
	LinkedTo         string       `json:"linked_to"` // accession number, once linked
	Suggestions      []Suggestion `json:"suggestions"`
}

// Suggestion is an order that an arrival may belong to.
type Suggestion struct {
	AccessionNumber string `json:"accession_number"`
	PatientName     string `json:"patient_name"`
	Reason          string `json:"reason"`
}

// Machine is a configured machine and what is known of it.
type Machine struct {
	Name         string    `json:"name"`
	AETitle      string    `json:"ae_title"`
	Code         string    `json:"code"`
	Addresses    []string  `json:"addresses"`
	Serves       []string  `json:"serves"`
	LastQueryAt  time.Time `json:"last_query_at,omitzero"`
	LastMPPSAt   time.Time `json:"last_mpps_at,omitzero"`
	LastAddress  string    `json:"last_address"`
	Associations int       `json:"associations"` // open now
	Offered      int       `json:"offered"`      // steps on its list now
}

// PendingMachine is a caller that is not configured.
type PendingMachine struct {
	AETitle  string    `json:"ae_title"`
	Address  string    `json:"address"`
	Called   string    `json:"called"` // the title it called us
	Reason   string    `json:"reason"`
	Count    int       `json:"count"`
	FirstAt  time.Time `json:"first_at"`
	LastAt   time.Time `json:"last_at"`
	Proposal string    `json:"proposal"` // a [[modality]] to start from
}

// Query is a worklist query and what became of it.
type Query struct {
	At              time.Time  `json:"at"`
	Machine         string     `json:"machine"`
	CallingAETitle  string     `json:"calling_ae_title"`
	Address         string     `json:"address"`
	Keys            []QueryKey `json:"keys"`
	Matches         int        `json:"matches"`
	Matched         []string   `json:"matched"` // accession numbers
	Excluded        []Excluded `json:"excluded"`
	Status          string     `json:"status"` // DICOM status, four hexadecimal digits
	End             string     `json:"end"`
	Bytes           int        `json:"bytes"`
	DurationSeconds float64    `json:"duration_seconds"`
}

// QueryKey is a matching key of a query. Values that name a patient are shown
// here and removed from the support file.
type QueryKey struct {
	Tag     string `json:"tag"`
	Keyword string `json:"keyword"`
	Value   string `json:"value"`
}

// Excluded is an order that a query did not return.
type Excluded struct {
	AccessionNumber string `json:"accession_number"`
	Key             string `json:"key"`
	Reason          string `json:"reason"`
}

// QueryFilter selects queries; the zero value is the newest 50.
type QueryFilter struct {
	Machine   string
	Accession string
	Limit     int // 1 to 500; 0 means 50
}

// Backup is a copy of the database.
type Backup struct {
	Name      string    `json:"name"`
	Path      string    `json:"path"`
	CreatedAt time.Time `json:"created_at"`
	Bytes     int64     `json:"bytes"`
	Good      bool      `json:"good"` // passed its check
	Reason    string    `json:"reason,omitempty"`
}

// Check is one line of the doctor.
type Check struct {
	Area            string  `json:"area"` // provet, dicom, disk, clock, database, settings, secrets
	Name            string  `json:"name"`
	Result          string  `json:"result"` // ok, warn, fail, skipped
	Code            string  `json:"code,omitempty"`
	Detail          string  `json:"detail,omitempty"`
	Help            string  `json:"help,omitempty"`
	DurationSeconds float64 `json:"duration_seconds"`
}

// Probe is what Provet Cloud offers.
type Probe struct {
	Text string `json:"text"` // for people
	TOML string `json:"toml"` // [provet.fields.*] and [provet.status] to add to the settings
}

// Count answers an action on several things.
type Count struct {
	Count int `json:"count"`
}
