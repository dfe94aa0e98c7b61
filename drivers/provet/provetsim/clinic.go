package provetsim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

type seedClient struct {
	title, first, last, company string
	kind                        int // 0 private, 1 company, 3 charity
	phone                       string
}

type seedPatient struct {
	name    string
	owner   int // index into the clients
	species int // index into the species
	breed   string
	gender  int // 0 unknown, 1 male, 2 female, 3 castrated male, 4 sterilized female
	weight  float64
	born    string
	chip    string
}

var seedSpecies = []struct {
	name string
	code int
}{
	{"Dog (Canine - Domestic)", 15461002},
	{"Cat (Feline - Domestic)", 14884002},
	{"Horse (Equine - Domestic)", 15063002},
	{"Rabbit", 15290002},
	{"Tortoise", 401001},
	{"Parrot", 402001},
	{"Alpaca", 403001},
	{"Guinea pig", 404001},
}

var seedClients = []seedClient{
	{"Ms", "Aino", "Koivu-Lehtimäki", "", 0, "+358 40 000 0101"},
	{"", "Jürgen", "Größlinger", "", 0, "+49 30 00000102"},
	{"", "Łucja", "Żółkiewska", "", 0, "+48 22 000 01 03"},
	{"", "Юлия", "Ястребова", "", 0, "+7 495 000 0104"},
	{"", "花子", "日本", "", 0, "+81 3 0000 0105"},
	{"", "", "", "Riding School Silver Horseshoe Ltd", 1, "+44 20 0000 0106"},
	{"", "", "", "Paws & Whiskers Rescue", 3, "+44 20 0000 0107"},
	{"Mr", "Patrick", "O'Quaggan", "", 0, "+353 1 000 0108"},
	{"", "Maria José", "dos Santos Coelho-Ribeiro de Vasconcelos e Albuquerque", "", 0, "+351 21 000 0109"},
	{"Dr", "Søren", "Ærøgaard", "", 0, "+45 00 00 01 10"},
	{"", "", "Nováčková", "", 0, "+420 200 000 111"},
	{"", "Σοφία", "Χελωνάκη", "", 0, "+30 21 0000 0112"},
}

var seedPatients = []seedPatient{
	{"Bello", 0, 0, "Finnish Lapphund", 3, 21.4, "2018-02-28", "900000000000001"},
	{"Mürbchen", 1, 0, "Dachshund, wire-haired", 2, 8.75, "2020-02-29", "900000000000002"},
	{"Strudel", 1, 1, "European Shorthair", 4, 4.2, "2016-07-14", "900000000000003"},
	{"Łapka", 2, 1, "Maine Coon", 3, 7.9, "2019-11-05", "900000000000004"},
	{"Яша", 3, 5, "African Grey", 0, 0.41, "", ""},
	{"たま", 4, 1, "Japanese Bobtail", 2, 3.6, "2022-03-03", "900000000000006"},
	{"Thunderbolt Maximilian IV", 5, 2, "Hanoverian", 1, 612, "2012-05-20", "900000000000007"},
	{"Buttercup", 5, 2, "Shetland Pony", 2, 189.5, "2009-04-11", "90000000008"},
	{"Sir Hops-a-Lot", 6, 3, "Holland Lop", 3, 1.85, "2021-06-01", ""},
	{"Unnamed kitten 3", 6, 1, "", 0, 0.38, "", ""},
	{"Sergeant Pepper", 7, 0, "Irish Wolfhound", 1, 68.2, "2017-09-30", "900000000000011"},
	{"Fígaro", 8, 1, "Siamese", 3, 4.85, "2015-01-01", "900000000000012"},
	{"Bjørn", 9, 0, "Bernese Mountain Dog", 1, 52, "2021-12-24", "900000000000013"},
	{"Žofinka", 10, 7, "Peruvian", 2, 0.92, "2024-08-08", ""},
	{"Methuselah", 11, 4, "Hermann's Tortoise", 2, 3.1, "1951-06-15", ""},
	{"Dolly", 9, 6, "Huacaya", 4, 71, "2018-10-10", "900000000000016"},
	{"Cat^with=odd\\chars", 7, 1, "Moggie", 0, 5, "2020-10-31", ""},
	{"Bello", 0, 0, "Finnish Lapphund", 1, 0, "2024-04-01", "900000000000018"},
}

var seedUsers = [][2]string{
	{"Vera", "Hufschmied"}, {"Matti", "Röntgenlahti"}, {"Amelia", "Barkworth"}, {"Zoë", "Katzenberg"},
}

var (
	seedDepartments = []string{"Riverside Small Animals", "Riverside Equine"}
	seedModalities  = []string{"X-ray", "CT", "Ultrasound", "Dental X-ray"}
	seedAreas       = []string{
		"Thorax LL", "Thorax VD", "Abdomen LL", "Abdomen VD", "Pelvis VD", "Stifle left", "Stifle right",
		"Elbow left ML", "Elbow right ML", "Skull", "Full mouth", "Spine cervical", "Front foot left LM",
	}
)

// add stores a record made at the given time. It is used before the tenant is
// shared, or under mu.
func (s *Sim) add(resource string, at time.Time, rec record) int {
	t := s.tables[resource]
	r := t.build(0, at, rec)
	t.put(r)
	return r.id
}

// seed fills the clinic.
func (s *Sim) seed() {
	rng := rand.New(rand.NewPCG(uint64(s.cfg.Seed), 0x636c696e6963)) // repeatable, not secret
	epoch := time.Date(2024, 3, 1, 8, 0, 0, 0, s.cfg.Zone)
	at := func() time.Time {
		epoch = epoch.Add(time.Duration(1+rng.IntN(3600)) * time.Second)
		if rng.IntN(3) > 0 {
			return epoch.Add(time.Duration(1+rng.IntN(999_998)) * time.Microsecond)
		}
		return epoch
	}
	for _, n := range seedDepartments {
		s.add("department", at(), record{"name": n})
	}
	for _, n := range seedModalities {
		s.add("modality", at(), record{"name": n})
	}
	for _, n := range seedAreas {
		s.add("targetarea", at(), record{"name": n})
	}
	for i, u := range seedUsers {
		first := s.tables["userdetails"].res.firstID
		id := s.add("user", at(), record{
			"first_name": u[0], "last_name": u[1], "email": fmt.Sprintf("vet%d@riverside.example", i+1),
			"is_active": true, "user_details": first + i,
		})
		s.add("userdetails", at(), record{
			"user": id, "title": "DVM", "veterinarian_id": fmt.Sprintf("V-%04d", 11*(i+1)), "user_type": 1,
			"initials": string([]rune(u[0])[:1]) + string([]rune(u[1])[:1]), "language": "en", "home_department": 1,
		})
	}
	for i, c := range seedClients {
		s.addClient(c, i, at())
	}
	for _, p := range seedPatients {
		s.addPatient(p, at(), rng)
	}
	for i := range s.cfg.ExtraPatients {
		c := seedClient{first: "Owner", last: fmt.Sprintf("Number-%05d", i), phone: fmt.Sprintf("+358 50 %07d", i)}
		s.addClient(c, i, at())
		s.addPatient(seedPatient{
			name: fmt.Sprintf("Animal %05d", i), owner: len(seedClients) + i, species: rng.IntN(len(seedSpecies)), breed: "Mixed",
			gender: rng.IntN(5), weight: float64(1+rng.IntN(400)) / 10, born: "2021-01-15",
		}, at(), rng)
	}
	for _, w := range s.cfg.Webhooks {
		s.RegisterWebhook(w)
	}
}

func (s *Sim) addClient(c seedClient, i int, at time.Time) {
	country := `""`
	switch i % 3 {
	case 1:
		country = `"DE"`
	case 2:
		country = `{"code":"FI","name":"Finland"}`
	}
	phones, err := json.Marshal([]map[string]string{{"number": c.phone, "description": "mobile"}})
	if err != nil {
		phones = []byte("[]")
	}
	id := s.add("client", at, record{
		"title": c.title, "firstname": c.first, "lastname": c.last, "organization_name": c.company, "customer_type": c.kind,
		"email": fmt.Sprintf("client%d@example.org", i+1), "street_address": fmt.Sprintf("Meadow Lane %d", i+1),
		"zip_code": fmt.Sprintf("%05d", 100*(i+1)), "city": "Riverside", "country": country, "phone_numbers": string(phones),
		"home_department": 1,
	})
	s.add("phonenumber", at, record{"client": id, "type_code": 1, "phone_number": c.phone, "description": "mobile"})
}

func (s *Sim) addPatient(p seedPatient, at time.Time, rng *rand.Rand) int {
	sp := seedSpecies[p.species]
	clients := s.tables["client"]
	owner := clients.res.firstID + p.owner
	rec := record{
		"client": owner, "name": p.name, "species": sp.name, "breed": p.breed, "gender": s.cfg.GenderLabels[p.gender],
		"species_code": sp.code, "breed_code": (100+rng.IntN(900))*1000 + 1, "microchip": p.chip, "home_department": 1,
		"date_of_registration": "2024-03-01", "old_patient_id": "P" + strconv.Itoa(1000+rng.IntN(9000)),
	}
	if p.weight > 0 {
		rec["weight"] = p.weight
	}
	if p.born != "" {
		rec["date_of_birth"] = p.born
	}
	if p.chip == "" {
		rec["microchip"] = nil
	}
	id := s.add("patient", at, rec)
	if c := clients.rows[owner]; c != nil {
		pets := append(append([]int(nil), c.ints(clients.res.col("patients"))...), id)
		clients.put(clients.changed(c, c.modified, record{"patients": pets}))
	}
	return id
}
