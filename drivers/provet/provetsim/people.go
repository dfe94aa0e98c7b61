package provetsim

import (
	"maps"
	"slices"
)

// Named is an object that is little more than its name.
type Named struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

// Patient is an animal of the clinic.
type Patient struct {
	ID          int     `json:"id"`
	ClientID    int     `json:"client_id"`
	Name        string  `json:"name"`
	Species     string  `json:"species"`
	Breed       string  `json:"breed"`
	Gender      string  `json:"gender"` // display text
	SpeciesCode int     `json:"species_code"`
	BreedCode   int     `json:"breed_code"`
	Weight      float64 `json:"weight"`        // zero: none
	DateOfBirth string  `json:"date_of_birth"` // YYYY-MM-DD or empty
	Deceased    string  `json:"deceased"`      // likewise
	Microchip   string  `json:"microchip"`
	Archived    bool    `json:"archived"`
	MergedInto  int     `json:"merged_into"` // id of the patient that took over
}

// Client is an owner.
type Client struct {
	ID               int    `json:"id"`
	Title            string `json:"title"`
	FirstName        string `json:"firstname"`
	LastName         string `json:"lastname"`
	OrganizationName string `json:"organization_name"`
	CustomerType     int    `json:"customer_type"`
	Email            string `json:"email"`
	Archived         bool   `json:"archived"`
	PatientIDs       []int  `json:"patients"`
}

func (s *Sim) patient(r *row) Patient {
	col := s.tables["patient"].res.col
	weight, _ := r.vals[col("weight")].(float64)
	return Patient{
		ID: r.id, ClientID: r.int(col("client")), Name: r.text(col("name")), Species: r.text(col("species")),
		Breed: r.text(col("breed")), Gender: r.text(col("gender")), SpeciesCode: r.int(col("species_code")),
		BreedCode: r.int(col("breed_code")), Weight: weight, DateOfBirth: r.text(col("date_of_birth")),
		Deceased: r.text(col("deceased")), Microchip: r.text(col("microchip")), Archived: r.archived,
		MergedInto: r.int(col("merge_patient")),
	}
}

func orNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

// UpdatePatient lets change edit an animal. Like an edit in Provet it fires the
// patient's webhook (2), and none of the imaging ones. The function must not
// call the Sim.
func (s *Sim) UpdatePatient(id int, change func(*Patient)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables["patient"]
	r := t.rows[id]
	if r == nil {
		return false
	}
	p := s.patient(r)
	change(&p)
	t.put(t.changed(r, s.now(), record{
		"client": p.ClientID, "name": p.Name, "species": p.Species, "breed": p.Breed, "gender": p.Gender,
		"species_code": p.SpeciesCode, "breed_code": p.BreedCode, "weight": orNull(p.Weight),
		"date_of_birth": orNull(p.DateOfBirth), "deceased": orNull(p.Deceased), "microchip": orNull(p.Microchip),
		"archived": p.Archived, "merge_patient": orNull(p.MergedInto),
	}))
	s.fire(TriggerPatient, "patient_id", id, 0)
	return true
}

// RenamePatient gives an animal another name.
func (s *Sim) RenamePatient(id int, name string) bool {
	return s.UpdatePatient(id, func(p *Patient) { p.Name = name })
}

// MergePatient lets the animal into take over from: from is archived and names
// its successor, its orders still name from, and no webhook tells.
func (s *Sim) MergePatient(from, into int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables["patient"]
	a, b := t.rows[from], t.rows[into]
	if a == nil || b == nil {
		return false
	}
	merged := append(slices.Clone(b.ints(t.res.col("merged_patient"))), from)
	t.put(t.changed(a, s.now(), record{"archived": true, "merge_patient": into}))
	t.put(t.changed(b, s.now(), record{"merged_patient": merged}))
	return true
}

// AddPatient adds an animal and returns its id.
func (s *Sim) AddPatient(p Patient) int {
	s.mu.Lock()
	id := s.add("patient", s.now(), record{"client": usual(p.ClientID, s.tables["client"].res.firstID)})
	s.mu.Unlock()
	p.ID = id
	s.UpdatePatient(id, func(q *Patient) {
		if p.ClientID == 0 {
			p.ClientID = q.ClientID
		}
		*q = p
	})
	return id
}

// Patients returns all animals by id, the archived too.
func (s *Sim) Patients() []Patient {
	s.mu.RLock()
	defer s.mu.RUnlock()
	rows := s.tables["patient"].byID
	out := make([]Patient, len(rows))
	for i, r := range rows {
		out[i] = s.patient(r)
	}
	return out
}

// Patient returns one animal.
func (s *Sim) Patient(id int) (Patient, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.tables["patient"].rows[id]
	if r == nil {
		return Patient{}, false
	}
	return s.patient(r), true
}

func (s *Sim) client(r *row) Client {
	col := s.tables["client"].res.col
	return Client{
		ID: r.id, Title: r.text(col("title")), FirstName: r.text(col("firstname")), LastName: r.text(col("lastname")),
		OrganizationName: r.text(col("organization_name")), CustomerType: r.int(col("customer_type")),
		Email: r.text(col("email")), Archived: r.archived, PatientIDs: slices.Clone(r.ints(col("patients"))),
	}
}

// Clients returns all owners by id.
func (s *Sim) Clients() []Client {
	s.mu.RLock()
	defer s.mu.RUnlock()
	rows := s.tables["client"].byID
	out := make([]Client, len(rows))
	for i, r := range rows {
		out[i] = s.client(r)
	}
	return out
}

// UpdateClient lets change edit an owner; it fires webhook 1 and none of the
// imaging ones. The function must not call the Sim.
func (s *Sim) UpdateClient(id int, change func(*Client)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables["client"]
	r := t.rows[id]
	if r == nil {
		return false
	}
	c := s.client(r)
	change(&c)
	t.put(t.changed(r, s.now(), record{
		"title": c.Title, "firstname": c.FirstName, "lastname": c.LastName, "organization_name": c.OrganizationName,
		"customer_type": c.CustomerType, "email": c.Email, "archived": c.Archived,
	}))
	s.fire(TriggerClient, "client_id", id, 0)
	return true
}

// RenameClient gives an owner another family name.
func (s *Sim) RenameClient(id int, lastName string) bool {
	return s.UpdateClient(id, func(c *Client) { c.LastName = lastName })
}

// Delete removes one object of any resource (consultation, referral, patient,
// appointment, modality, ...) without a webhook. For orders see DeleteOrder.
func (s *Sim) Delete(resource string, id int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[resource]
	if t == nil {
		t = s.paths[resource]
	}
	return t != nil && t.remove(id) != nil
}

func (s *Sim) namedList(resource string) []Named {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.tables[resource]
	out := make([]Named, len(t.byID))
	for i, r := range t.byID {
		out[i] = Named{r.id, displayName(t, r)}
	}
	return out
}

// Modalities returns the clinic's modalities.
func (s *Sim) Modalities() []Named { return s.namedList("modality") }

// TargetAreas returns the clinic's target areas.
func (s *Sim) TargetAreas() []Named { return s.namedList("targetarea") }

// Departments returns the clinic's departments.
func (s *Sim) Departments() []Named { return s.namedList("department") }

// Users returns the clinic's users.
func (s *Sim) Users() []Named { return s.namedList("user") }

// Set changes single fields of any object, under their default names, without
// a webhook: what the typed methods have no word for. Values are as stored: ids
// for relations, time.Time, int, float64, string, bool, nil.
func (s *Sim) Set(resource string, id int, fields map[string]any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[resource]
	if t == nil || t.rows[id] == nil {
		return false
	}
	t.put(t.changed(t.rows[id], s.now(), record(maps.Clone(fields))))
	return true
}
