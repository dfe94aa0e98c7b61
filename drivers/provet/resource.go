package provet

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// The resources, by the names of the settings.
const (
	resWorklist     = "worklist"
	resReferral     = "referral"
	resConsultation = "consultation"
	resClient       = "client"
	resPatient      = "patient"
	resModality     = "modality"
	resTargetArea   = "targetarea"
	resUser         = "user"
	resDepartment   = "department"
	resAppointment  = "appointment"
	resWard         = "ward"
	resWebhook      = "webhook"
	resWebhookQueue = "webhook_queue"
	resWebhookBody  = "webhook_body" // no endpoint: what a webhook brings
)

// resource is what Provet documents about an endpoint: path, permission, calls
// per minute.
type resource struct {
	path             string
	permission       string
	list, get, write int // per rolling minute
}

// resources lists the endpoints we use, with the limits of the API reference.
var resources = map[string]resource{
	resWorklist:     {"diagnosticimaging_worklist", "Diagnostic imaging: Diagnostic imaging referrals", 250, 1000, 300},
	resReferral:     {"diagnosticimaging_referral", "Diagnostic imaging: Diagnostic imaging referrals", 100, 300, 300},
	resConsultation: {"consultation", "General: Consultations and its items", 100, 300, 300},
	resClient:       {"client", "General: Patients and clients", 125, 500, 200},
	resPatient:      {"patient", "General: Patients and clients", 300, 1200, 250},
	resModality:     {"modality", "Settings: Integration settings", 100, 300, 100},
	resTargetArea:   {"targetarea", "Settings: Integration settings", 100, 300, 100},
	resUser:         {"user", "Profile: User profile page", 100, 300, 100},
	resDepartment:   {"department", "Departments", 100, 1200, 100},
	resAppointment:  {"appointment", "Calendar: Appointments", 300, 900, 500},
	resWebhook:      {"hook/webhook", "Settings: Integration settings", 100, 300, 300},
	resWebhookQueue: {"hook/queue", "Settings: Integration settings", 100, 300, 300},
}

// permissionOf returns the name of the permission for a resource, as Provet
// Cloud shows it.
func permissionOf(res string) string {
	if r, ok := resources[res]; ok {
		return r.permission
	}
	return res
}

// resourceByPath returns our name for a path segment of the API.
func resourceByPath(segment string) (string, bool) {
	for name, r := range resources {
		if r.path == segment {
			return name, true
		}
	}
	return "", false
}

// MissingPermission is a right that the integration's user turned out not to have.
type MissingPermission struct {
	Resource   string
	Permission string // as named in Provet Cloud
	Write      bool   // writing was refused; otherwise reading
	Since      time.Time
}

// Permissions returns what was refused with 403 and has not worked since,
// sorted by resource.
func (c *Client) Permissions() []MissingPermission {
	c.permMu.Lock()
	defer c.permMu.Unlock()
	return slices.SortedFunc(maps.Values(c.missing), func(a, b MissingPermission) int {
		if n := strings.Compare(a.Resource, b.Resource); n != 0 || a.Write == b.Write {
			return n
		}
		if a.Write {
			return 1
		}
		return -1
	})
}

// notePermission remembers the outcome of a call for Permissions.
func (c *Client) notePermission(res string, write, refused bool) {
	if res == resWebhookQueue {
		return // only looked at for information
	}
	key := res
	if write {
		key += " write"
	}
	c.permMu.Lock()
	defer c.permMu.Unlock()
	if !refused {
		delete(c.missing, key)
		return
	}
	if _, ok := c.missing[key]; ok {
		return
	}
	c.missing[key] = MissingPermission{Resource: res, Permission: permissionOf(res), Write: write, Since: c.cfg.Now()}
	c.cfg.Log.Warn("provet permission missing", "resource", res, "write", write)
}
