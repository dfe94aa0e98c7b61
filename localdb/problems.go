package localdb

import (
	"context"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
)

// ProblemChange says when a problem appeared and went away.
type ProblemChange struct {
	Code      problem.Code
	Subject   string
	Args      problem.Args
	RaisedAt  time.Time
	ClearedAt time.Time // zero: it is there
}

// ProblemRaised records that a problem appeared. One that is there already
// keeps its time.
func (tx *Tx) ProblemRaised(ctx context.Context, code problem.Code, subject string, args problem.Args, at time.Time) error {
	a, err := toJSON(args)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO problem_log(code, subject, args, raised_at) VALUES (?,?,?,?)
		ON CONFLICT(code, subject) WHERE cleared_at IS NULL DO UPDATE SET args=excluded.args`, string(code), subject, a, msNotNull(at))
	return err
}

// ProblemCleared records that a problem went away.
func (tx *Tx) ProblemCleared(ctx context.Context, code problem.Code, subject string, at time.Time) error {
	_, err := tx.exec(ctx, `UPDATE problem_log SET cleared_at=? WHERE code=? AND subject=? AND cleared_at IS NULL`,
		msNotNull(at), string(code), subject)
	return err
}

const problemColumns = `code, subject, args, raised_at, cleared_at`

func scanProblem(r scanner) (p ProblemChange, err error) {
	err = r.Scan(&p.Code, &p.Subject, intoJSON{&p.Args}, intoTime{&p.RaisedAt}, intoTime{&p.ClearedAt})
	return p, err
}

// ActiveProblems returns the problems that were not cleared, oldest first.
func (s *Snapshot) ActiveProblems(ctx context.Context) ([]ProblemChange, error) {
	return all(ctx, s, `SELECT `+problemColumns+` FROM problem_log WHERE cleared_at IS NULL ORDER BY raised_at, id`, scanProblem)
}

// ProblemLog returns problems that were there, newest first.
func (s *Snapshot) ProblemLog(ctx context.Context, limit int) ([]ProblemChange, error) {
	return all(ctx, s, `SELECT `+problemColumns+` FROM problem_log ORDER BY id DESC LIMIT ?`, scanProblem, limit)
}
