package provet

import (
	"slices"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
)

// Choice is one value of an enumeration, with its label.
type Choice struct {
	Value string
	Label string
}

// Proposal is a choice whose label reads like one of our states. It is for a
// person to confirm and never applied by itself.
type Proposal struct {
	State   order.State
	Choices []Choice // more than one: ambiguous
}

// stateWords are phrases of labels, folded (lower case, no accents), that speak
// for a state: English, Finnish, Swedish, Norwegian, Danish, German, Dutch,
// French, Spanish, Portuguese, Italian, Polish, Estonian.
var stateWords = map[order.State][]string{
	order.Scheduled: {
		"new", "requested", "ordered", "pending", "waiting", "scheduled", "planned", "queued", "referred",
		"uusi", "tilattu", "odottaa", "odottava", "suunniteltu", "ajastettu", "lahete luotu",
		"ny", "nytt", "bestalld", "vantar", "vantande", "planerad", "bokad", "bestilt", "venter", "planlagt", "afventer",
		"neu", "angefordert", "geplant", "wartend", "wartet", "angemeldet", "nieuw", "aangevraagd", "gepland", "wachtend",
		"nouveau", "nouvelle", "demande", "planifie", "planifiee", "en attente", "nuevo", "nueva", "pendiente", "solicitado",
		"novo", "pendente", "agendado", "nuovo", "richiesto", "in attesa", "programmato", "nowe", "nowy", "zlecone", "uus", "tellitud", "ootel",
	},
	order.InProgress: {
		"in progress", "ongoing", "started", "underway", "under way", "in process", "processing", "imaging",
		"kaynnissa", "kesken", "aloitettu", "tyon alla", "pagar", "pagaende", "paborjad", "startad", "i gang", "pagar nu",
		"pabegynt", "under arbeid", "under arbejde", "pabegyndt", "in arbeit", "begonnen", "laufend", "in bearbeitung",
		"bezig", "in behandeling", "gestart", "en cours", "commence", "en curso", "en proceso", "iniciado", "em andamento",
		"in corso", "iniziato", "w trakcie", "w toku", "pooleli", "tootluses",
	},
	order.Completed: {
		"done", "complete", "completed", "finished", "performed", "imaged", "examined", "concluded",
		"valmis", "tehty", "suoritettu", "kuvattu", "valmistunut", "klar", "fardig", "utford", "slutford", "avslutad",
		"ferdig", "utfort", "fullfort", "faerdig", "færdig", "afsluttet", "udfort", "udført", "fertig", "abgeschlossen", "erledigt",
		"durchgefuhrt", "beendet", "gereed", "afgerond", "voltooid", "klaar", "uitgevoerd", "termine", "terminee", "fini",
		"effectue", "realise", "complete", "completado", "terminado", "realizado", "finalizado", "concluido", "completato",
		"terminato", "eseguito", "zakonczone", "wykonane", "gotowe", "valmis", "tehtud", "lopetatud",
	},
	order.Discontinued: {
		"discontinued", "aborted", "interrupted", "stopped", "abandoned", "keskeytetty", "keskeytynyt", "avbruten", "avbrutt",
		"avbrudt", "afbrudt", "abgebrochen", "unterbrochen", "afgebroken", "onderbroken", "interrompu", "abandonne",
		"interrumpido", "suspendido", "interrompido", "interrotto", "przerwane", "katkestatud",
	},
	order.Cancelled: {
		"cancelled", "canceled", "withdrawn", "revoked", "void", "voided", "peruttu", "peruutettu", "hylatty", "installd",
		"avbokad", "makulerad", "aterkallad", "kansellert", "avlyst", "aflyst", "annulleret", "storniert", "abgesagt",
		"zuruckgezogen", "geannuleerd", "ingetrokken", "annule", "annulee", "cancelado", "cancelada", "anulado", "anulada",
		"annullato", "cancellato", "anulowane", "anulowany", "tuhistatud",
	},
}

// negations turn a label around, so that nothing is proposed for it.
var negations = []string{
	"not", "no", "un", "non", "without", "never", "incomplete", "ei", "inte", "ej", "ikke", "nicht", "kein", "niet", "geen",
	"pas", "sin", "sem", "nao", "nie", "mitte", "partly", "partially", "partial", "almost",
}

// stateOf returns the state a label reads like; ok is false when none or
// several do.
func stateOf(label string) (st order.State, ok bool) {
	w := words(label)
	if len(w) == 0 || slices.ContainsFunc(w, func(s string) bool { return slices.Contains(negations, s) }) {
		return "", false
	}
	padded := " " + strings.Join(w, " ") + " "
	for _, cand := range order.States() {
		if !slices.ContainsFunc(stateWords[cand], func(p string) bool { return strings.Contains(padded, " "+p+" ") }) {
			continue
		}
		if ok {
			return "", false
		}
		st, ok = cand, true
	}
	return st, ok
}

// propose sorts choices into proposals, in the order of an order's life.
func propose(choices []Choice) []Proposal {
	var out []Proposal
	for _, st := range order.States() {
		var mine []Choice
		for _, ch := range choices {
			if got, ok := stateOf(ch.Label); ok && got == st {
				mine = append(mine, ch)
			}
		}
		if len(mine) > 0 {
			out = append(out, Proposal{State: st, Choices: mine})
		}
	}
	return out
}

// sortChoices orders choices by number where they are numbers, else by text.
func sortChoices(ch []Choice) {
	slices.SortFunc(ch, func(a, b Choice) int {
		if isInteger(a.Value) && isInteger(b.Value) && len(a.Value) != len(b.Value) {
			return len(a.Value) - len(b.Value)
		}
		return strings.Compare(a.Value, b.Value)
	})
}
