// Package provetsim is a Provet Cloud tenant in one process: an http.Handler
// that answers as the REST API 0.1 of a veterinary clinic would, and that sends
// the imaging webhooks of that clinic.
//
// It serves the OAuth 2.0 token endpoint (client credentials), the imaging
// orders with everything an integration reads around them (referral,
// consultation, client, patient, users, departments, modalities, target areas,
// appointments), the webhook registrations and the delivery queue, with the
// conventions of the real API: trailing slashes, paging, filters, ordering,
// expose, rate limits, and the error bodies of Django REST Framework.
//
// The names and values of the imaging objects are not publicly known. So every
// one of them can be renamed: see [Config].Names, [Config].StatusChoices,
// [Config].Shapes, and [Renamed], which changes all of them at once. A test or a
// demo asks [Sim.FieldNames] and [Sim.StatusValue] for the names in force and
// configures its client with them.
//
// Everything in the clinic is invented, and the animals are memorable.
//
// # Faults
//
// [Sim.Inject] and its short forms ([Sim.Slow], [Sim.FailNext], [Sim.ResetNext],
// [Sim.Hang], ...) make the tenant misbehave while it runs; [Sim.SetWebhookFaults]
// loses, doubles, delays or reorders webhooks. [Sim.ClearFaults] ends all of it.
//
// # The admin surface
//
// With [Config].Admin the handler also answers under /_sim/, for curl and for
// scripts. Bodies are JSON. Requests of a browser page (those with an Origin
// header) are refused. There is no password: listen on loopback.
//
//	GET    /_sim/                     what can be asked, and counts
//	GET    /_sim/orders[?status=KEY]  all orders
//	POST   /_sim/orders               create one (NewOrder; {} or empty: a random one; {"count": 5}: five)
//	GET    /_sim/orders/ID            one order
//	PATCH  /_sim/orders/ID            change it ({"status": "cancelled"}, {"remarks": "..."}, ...)
//	DELETE /_sim/orders/ID            delete it, as a person would in Provet
//	GET    /_sim/patients, /_sim/clients, /_sim/modalities, /_sim/targetareas, /_sim/departments
//	PATCH  /_sim/patients/ID          rename, merge ({"merged_into": 5002}), archive, weigh
//	PATCH  /_sim/clients/ID           rename
//	DELETE /_sim/RESOURCE/ID          delete any other object (consultation, referral, ...)
//	POST   /_sim/webhooks             {"url": "http://..."}: triggers 6, 7 and 8; or with "trigger", "content_type", "department"
//	GET    /_sim/faults               the faults in force
//	POST   /_sim/faults               add one (Fault, for example {"kind": "status", "status": 503, "count": 3})
//	PUT    /_sim/faults/webhooks      set WebhookFaults
//	DELETE /_sim/faults               remove all faults
//	POST   /_sim/hookup               {"url": "http://..."}: posts the credentials there, as when the integration is added
//	POST   /_sim/forbid               {"resource": "client", "forbidden": true}
//	POST   /_sim/limits               {"on": false}: no rate limits
//	POST   /_sim/tokens/expire        every access token ends now
//	POST   /_sim/clock                {"skew": "25h"}
//	GET    /_sim/patches              what the integration wrote
//	GET    /_sim/violations           what it should not have written
//	GET    /_sim/requests             requests counted by route
//	GET    /_sim/deliveries           webhook deliveries
//	GET    /_sim/mapping              field names and status values in force
package provetsim
