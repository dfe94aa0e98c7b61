package config

import "time"

// Version is the format that this program writes. Older formats are converted
// when they are read, newer ones refused.
const Version = 1

// File is rayhound.toml. Default returns one with every default set.
type File struct {
	Version int `toml:"version" default:"1" comment:"of this file's format"`

	Clinic      Clinic       `toml:"clinic"`
	Provet      Provet       `toml:"provet"`
	Tunnel      Tunnel       `toml:"tunnel"`
	DICOM       DICOM        `toml:"dicom"`
	Modalities  []Modality   `toml:"modality" comment:"One [[modality]] for each machine."`
	PACS        PACS         `toml:"pacs"`
	RIS         []RIS        `toml:"ris" comment:"One [[ris]] for each RIS that gets orders by HL7."`
	HL7         HL7          `toml:"hl7"`
	Page        Page         `toml:"page"`
	Log         Log          `toml:"log"`
	Retention   Retention    `toml:"retention"`
	Species     []Species    `toml:"species" comment:"Codes of the species, when the machines or the PACS want more than text."`
	TargetAreas []TargetArea `toml:"target_area" comment:"DICOM words for Provet's target areas."`
	Procedures  []Procedure  `toml:"procedure" comment:"Procedure codes for Provet's modalities."`

	origin string // hash of the bytes it was read from
	lines  lines  // where its keys stand there
}

// Clinic is [clinic].
type Clinic struct {
	Name            string `toml:"name" comment:"as the machines show it (institution name)"`
	TimeZone        string `toml:"time_zone" comment:"of the clinic, such as \"Europe/Helsinki\"; empty: the computer's"`
	AccessionPrefix string `toml:"accession_prefix" comment:"before Provet's order id in the accession number; at most 8 characters"`
}

// Location returns the clinic's time zone. An unknown zone is a mistake that
// Validate reports; then it is UTC.
func (c Clinic) Location() *time.Location {
	if c.TimeZone == "" {
		return time.Local
	}
	loc, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return time.UTC
	}
	return loc
}

// Provet is [provet].
type Provet struct {
	BaseURL       string   `toml:"base_url" comment:"https://<domain>/<provet id>, as the clinic sees it in the browser; http:// on loopback only"`
	ClientID      string   `toml:"client_id" comment:"of the OAuth application; its secret: rayhound secret set provet.client_secret"`
	PollInterval  Duration `toml:"poll_interval" default:"1m" min:"5s" max:"1h" comment:"how often changed orders are asked for"`
	SweepInterval Duration `toml:"sweep_interval" default:"30m" min:"1m" max:"24h" comment:"how often every open order is looked at; finds deletions"`
	CAFile        string   `toml:"ca_file" comment:"extra root certificates (PEM), for inspecting proxies"`
	ProxyURL      string   `toml:"proxy_url" comment:"http://host:port; empty: the system's settings"`
	Departments   Names    `toml:"departments" comment:"ids of the departments whose orders are taken; empty: all"`
	Baseline      string   `toml:"baseline" default:"open" oneof:"open|new" comment:"first start. open: take the open orders; new: only orders made from then on"`
	WeightUnit    string   `toml:"weight_unit" oneof:"|kg|lb|g" comment:"of Provet's weights, once a person confirmed it; empty: no weight is sent"`

	Status Status            `toml:"status" comment:"Value written to Provet for each of our states; empty: do not write. rayhound provet probe shows the values."`
	Sexes  map[string]string `toml:"sexes" comment:"What Provet's genders mean, where the defaults do not fit: M, F or O, and altered or unaltered, as in \"3\" = \"M altered\"."`
	Fields map[string]Fields `toml:"fields" comment:"Our name = Provet's field, where it differs from the default; a list means the first that exists.\nrayhound provet probe and import-schema propose these tables."`
}

// Fields maps our field names of one resource to Provet's.
type Fields map[string]Names

// Status is [provet.status].
type Status struct {
	Scheduled    Value `toml:"scheduled"`
	InProgress   Value `toml:"in_progress"`
	Completed    Value `toml:"completed"`
	Discontinued Value `toml:"discontinued"`
	Cancelled    Value `toml:"cancelled"`
	Withdrawn    Names `toml:"withdrawn" comment:"values that mean \"withdrawn\" when Provet shows them"`
}

// Tunnel is [tunnel].
type Tunnel struct {
	RelayURL string `toml:"relay_url" comment:"wss://...; empty: polling only"`
	ProxyURL string `toml:"proxy_url" comment:"http://host:port; empty: the system's settings"`
}

// DICOM is [dicom].
type DICOM struct {
	AETitle         string `toml:"ae_title" default:"RAYHOUND" comment:"our application entity title, 1 to 16 characters"`
	Listen          Names  `toml:"listen" default:":11112" comment:"addresses, host:port; an empty host means every network card"`
	TLSListen       Names  `toml:"tls_listen" comment:"addresses with TLS; they need tls_cert and tls_key"`
	TLSCert         string `toml:"tls_cert" comment:"certificate chain (PEM) of the TLS addresses"`
	TLSKey          string `toml:"tls_key" comment:"file of its private key (PEM)"`
	TLSClientCA     string `toml:"tls_client_ca" comment:"roots (PEM) that machines' certificates must come from; empty: none is asked for"`
	AcceptUnknown   bool   `toml:"accept_unknown" comment:"false: unknown AE titles are refused and shown as pending machines"`
	MaxAssociations int    `toml:"max_associations" default:"64" min:"1" max:"1000" comment:"at the same time, all machines together"`
}

// PACS is [pacs].
type PACS struct {
	AETitle   string   `toml:"ae_title" comment:"of the image archive"`
	Address   string   `toml:"address" comment:"host:port for C-FIND study checks; empty: off"`
	QuietFor  Duration `toml:"quiet_for" default:"5m" min:"10s" max:"24h" comment:"a study that did not grow for so long counts as complete"`
	ViewerURL string   `toml:"viewer_url" comment:"https://viewer/?patient=  (the patient id is appended)"`
}

// Page is [page].
type Page struct {
	Listen   Names  `toml:"listen" default:"127.0.0.1:18470,[::1]:18470" comment:"loopback only; commands use the first address"`
	Language string `toml:"language" comment:"such as \"en\"; empty: the browser's"`
}

// Log is [log].
type Log struct {
	Level string `toml:"level" default:"info" oneof:"debug|info|warn|error" comment:"the least that is written"`
}

// Retention is [retention].
type Retention struct {
	Orders      Duration `toml:"orders" default:"90d" min:"1d" max:"3650d" comment:"closed orders are deleted after"`
	RawMessages Duration `toml:"raw_messages" default:"14d" min:"0s" max:"3650d" comment:"messages as received are deleted after"`
	Backups     int      `toml:"backups" default:"7" min:"1" max:"365" comment:"nightly copies kept"`
}

// Default returns the settings of an empty file.
func Default() *File {
	f := &File{}
	applyDefaults(f)
	return f
}

// NewModality returns a machine with every default set.
func NewModality() Modality {
	var m Modality
	applyDefaults(&m)
	return m
}
