package ui

import "net/http"

// routes is every route there is. What stands under api needs the control
// token. There is no page here: / is not found.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	api := func(pattern string, h handler) {
		mux.Handle(pattern, bearer{token: s.cfg.Token, log: s.cfg.Log, next: s.handle(h)})
	}

	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /metrics", s.metrics)

	api("GET /api/v1/status", s.status)
	api("GET /api/v1/problems", s.problems)

	api("GET /api/v1/orders", s.orders)
	api("POST /api/v1/orders", s.addOrder)
	api("GET /api/v1/orders/{accession}", s.order)
	api("GET /api/v1/orders/{accession}/report", s.report)
	api("GET /api/v1/orders/{accession}/documents/{id}", s.document)
	api("POST /api/v1/orders/{accession}/{action}", s.actOnOrder)
	api("POST /api/v1/hints", s.hint)

	api("GET /api/v1/outbox", s.outbox)
	api("POST /api/v1/outbox/retry", s.retryOutbox)
	api("POST /api/v1/outbox/{id}/retry", s.retryMessage)
	api("POST /api/v1/outbox/{destination}/pause", s.pause)
	api("POST /api/v1/outbox/{destination}/resume", s.resume)

	api("GET /api/v1/arrivals", s.arrivals)
	api("POST /api/v1/arrivals/{id}/link", s.linkArrival)

	api("GET /api/v1/hl7", s.hl7Messages)
	api("GET /api/v1/hl7/{id}", s.hl7Bytes)

	api("GET /api/v1/machines", s.machines)
	api("GET /api/v1/machines/pending", s.pendingMachines)
	api("GET /api/v1/queries", s.queries)

	api("POST /api/v1/tunnel/pair", s.pair)

	api("GET /api/v1/secrets", s.secrets)
	api("PUT /api/v1/secrets/{name}", s.setSecret)
	api("GET /api/v1/backups", s.backups)
	api("POST /api/v1/backup", s.createBackup)
	api("POST /api/v1/doctor", s.doctor)
	api("POST /api/v1/provet/probe", s.probe)
	api("GET /api/v1/provet/webhooks", s.webhooks)
	api("POST /api/v1/provet/webhooks", s.registerWebhooks)
	api("GET /api/v1/provet/credentials", s.offeredCredentials)
	api("POST /api/v1/provet/credentials/{id}/{action}", s.decideCredentials)
	api("POST /api/v1/support-file", s.supportFile)
	return mux
}
