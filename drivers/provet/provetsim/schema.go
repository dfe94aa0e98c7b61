package provetsim

// kind is the type of a field.
type kind uint8

const (
	kindID kind = iota
	kindSelf
	kindInt
	kindFloat
	kindBool
	kindText
	kindDate // "2020-02-29" or nil
	kindTime
	kindChoice
	kindRef  // id or nil
	kindRefs // []int
	kindRaw  // string with JSON
)

// field is one field of a resource under its default name.
type field struct {
	name     string
	kind     kind
	target   string // of a relation: short name of the resource
	required bool
	readOnly bool
	hidden   bool // unless Config.Names names it
}

// resource is one collection of the API.
type resource struct {
	name       string // short: worklist
	path       string // diagnosticimaging_worklist
	permission string
	rates      Rates
	list       []string // methods of the collection, besides OPTIONS and HEAD
	detail     []string // methods of one object
	fields     []field
	firstID    int
}

func (r *resource) col(name string) int {
	for i := range r.fields {
		if r.fields[i].name == name {
			return i
		}
	}
	return -1
}

func required(f field) field { f.required = true; return f }
func readOnly(f field) field { f.readOnly = true; return f }
func hidden(f field) field   { f.hidden = true; return f }

func fieldsOf(k kind, names ...string) []field {
	fs := make([]field, len(names))
	for i, n := range names {
		fs[i] = field{name: n, kind: k}
	}
	return fs
}

func ref(name, target string) field  { return field{name: name, kind: kindRef, target: target} }
func refs(name, target string) field { return field{name: name, kind: kindRefs, target: target} }

// table of fields: id and url first, then the groups.
func object(groups ...any) []field {
	fs := []field{{name: "id", kind: kindID, readOnly: true}, {name: "url", kind: kindSelf, readOnly: true}}
	for _, g := range groups {
		switch g := g.(type) {
		case field:
			fs = append(fs, g)
		case []field:
			fs = append(fs, g...)
		}
	}
	return fs
}

func stamps() []field {
	return []field{{name: "created", kind: kindTime, readOnly: true}, {name: "modified", kind: kindTime, readOnly: true}}
}

const (
	permImaging  = "Diagnostic imaging: Diagnostic imaging referrals"
	permSettings = "Settings: Integration settings"
	permPatients = "General: Patients and clients"
	permConsult  = "General: Consultations and its items"
	permUser     = "Profile: User profile page"
	permCalendar = "Calendar: Appointments"
)

// schema returns the resources the tenant serves. Ids of different resources
// begin far apart, so that a mixed-up id is noticed.
func schema() []*resource {
	get, write := []string{"GET"}, []string{"GET", "PUT", "PATCH", "DELETE"}
	post, edit := []string{"GET", "POST"}, []string{"GET", "PUT", "PATCH"}
	return []*resource{
		{
			name: "worklist", path: "diagnosticimaging_worklist", permission: permImaging,
			rates: Rates{250, 1000, 300}, list: post, detail: write, firstID: 70001,
			fields: object(
				field{name: "status", kind: kindChoice},
				required(ref("modality", "modality")),
				ref("supervising_veterinarian", "user"), ref("requesting_user", "user"),
				required(ref("patient", "patient")), ref("client", "client"),
				refs("target_areas", "targetarea"), ref("referral", "referral"),
				ref("department", "department"), stamps(),
				hidden(field{name: "scheduled_at", kind: kindTime}),
			),
		},
		{
			name: "referral", path: "diagnosticimaging_referral", permission: permImaging,
			rates: Rates{100, 300, 300}, list: post, detail: write, firstID: 40001,
			fields: object(fieldsOf(kindText, "remarks", "internal_notes"),
				ref("consultation", "consultation"), ref("appointment", "appointment")),
		},
		{
			name: "modality", path: "modality", permission: permSettings,
			rates: Rates{100, 300, 0}, list: get, detail: get, firstID: 11,
			fields: object(required(field{name: "name", kind: kindText})),
		},
		{
			name: "targetarea", path: "targetarea", permission: permSettings,
			rates: Rates{100, 300, 0}, list: get, detail: get, firstID: 301,
			fields: object(required(field{name: "name", kind: kindText})),
		},
		{
			name: "consultation", path: "consultation", permission: permConsult,
			rates: Rates{100, 300, 300}, list: post, detail: edit, firstID: 20001,
			fields: object(
				required(ref("client", "client")), refs("patients", "patient"),
				fieldsOf(kindText, "complaint"), fieldsOf(kindInt, "status", "type"),
				ref("supervising_veterinarian", "user"), ref("department", "department"),
				hidden(ref("ward", "ward")), ref("appointment", "appointment"),
				fieldsOf(kindTime, "admitted_time", "started", "finished", "ended"), stamps(),
			),
		},
		clientResource(edit, post), patientResource(edit, post),
		{
			name: "phonenumber", path: "phonenumber", permission: permPatients,
			rates: Rates{900, 3600, 900}, list: get, detail: get, firstID: 3001,
			fields: object(ref("client", "client"), fieldsOf(kindInt, "type_code"),
				fieldsOf(kindText, "phone_number", "description"), stamps()),
		},
		{
			name: "user", path: "user", permission: permUser,
			rates: Rates{100, 300, 0}, list: get, detail: get, firstID: 901,
			fields: object(fieldsOf(kindText, "email", "first_name", "last_name"),
				fieldsOf(kindBool, "is_active", "is_staff"), ref("user_details", "userdetails"), fieldsOf(kindTime, "created")),
		},
		{
			name: "userdetails", path: "userdetails", permission: permUser,
			rates: Rates{100, 300, 0}, list: get, detail: get, firstID: 951,
			fields: object(ref("user", "user"), fieldsOf(kindText, "title", "phone", "veterinarian_id", "initials", "language"),
				fieldsOf(kindInt, "user_type"), ref("home_department", "department")),
		},
		{
			name: "department", path: "department", rates: Rates{0, 1200, 0}, list: get, detail: get, firstID: 1,
			fields: object(fieldsOf(kindText, "name")),
		},
		{
			name: "appointment", path: "appointment", permission: permCalendar,
			rates: Rates{300, 900, 500}, list: get, detail: get, firstID: 60001,
			fields: object(
				fieldsOf(kindTime, "start", "end"), fieldsOf(kindText, "title", "complaint"),
				ref("user", "user"), ref("client", "client"), refs("patients", "patient"),
				ref("consultation", "consultation"), fieldsOf(kindInt, "duration", "active", "type"),
				field{name: "resources", kind: kindRaw}, ref("department", "department"), stamps(),
			),
		},
		webhookResource(post, write), queueResource(get),
	}
}

func clientResource(edit, post []string) *resource {
	return &resource{
		name: "client", path: "client", permission: permPatients,
		rates: Rates{125, 500, 200}, list: post, detail: edit, firstID: 101,
		fields: object(
			fieldsOf(kindText, "title", "firstname", "lastname", "organization_name"), fieldsOf(kindInt, "customer_type"),
			fieldsOf(kindText, "vat_number", "street_address", "street_address_2", "zip_code", "city", "state", "email",
				"id_number", "old_client_id", "critical_notes", "remarks"),
			fieldsOf(kindBool, "archived", "no_sms", "no_email", "external"),
			readOnly(field{name: "country", kind: kindRaw}), readOnly(refs("patients", "patient")),
			readOnly(field{name: "phone_numbers", kind: kindRaw}), ref("home_department", "department"), stamps(),
		),
	}
}

func patientResource(edit, post []string) *resource {
	return &resource{
		name: "patient", path: "patient", permission: permPatients,
		rates: Rates{300, 1200, 250}, list: post, detail: edit, firstID: 5001,
		fields: object(
			required(ref("client", "client")), required(field{name: "name", kind: kindText}), fieldsOf(kindText, "official_name"),
			readOnly(field{name: "species", kind: kindText}), readOnly(field{name: "breed", kind: kindText}),
			readOnly(field{name: "gender", kind: kindText}), fieldsOf(kindFloat, "weight"),
			fieldsOf(kindText, "old_patient_id", "remarks"), fieldsOf(kindDate, "date_of_registration", "date_of_birth", "deceased"),
			fieldsOf(kindText, "insurance", "color", "critical_notes", "microchip", "animal_code"),
			fieldsOf(kindBool, "archived", "not_for_food", "private"), ref("home_department", "department"),
			fieldsOf(kindInt, "species_code", "breed_code"), readOnly(refs("merged_patient", "patient")),
			readOnly(ref("merge_patient", "patient")), stamps(),
		),
	}
}

func webhookResource(post, write []string) *resource {
	return &resource{
		name: "webhook", path: "hook/webhook", permission: permSettings,
		rates: Rates{100, 300, 300}, list: post, detail: write, firstID: 801,
		fields: []field{
			{name: "id", kind: kindID, readOnly: true},
			{name: "name", kind: kindText},
			{name: "trigger", kind: kindInt, required: true},
			{name: "url", kind: kindText, required: true},
			{name: "content_type", kind: kindInt},
			{name: "active", kind: kindBool},
			ref("department", "department"),
			hidden(readOnly(field{name: "self", kind: kindSelf})), // the link of the object itself
		},
	}
}

func queueResource(get []string) *resource {
	return &resource{
		name: "queue", path: "hook/queue", permission: permSettings,
		rates: Rates{100, 300, 0}, list: get, detail: get, firstID: 1,
		fields: object(
			ref("webhook", "webhook"), fieldsOf(kindInt, "trigger", "status", "attempts", "response_status"),
			field{name: "payload", kind: kindRaw}, stamps(),
		),
	}
}
