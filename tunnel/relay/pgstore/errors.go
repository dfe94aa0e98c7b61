package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rayhound/rayhound/tunnel/relay"
)

// sqlState returns the five characters of the server's error, or "".
func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// again reports whether a transaction failed because of another one, and may be tried again as a whole.
func again(err error) bool {
	s := sqlState(err)
	return s == "40001" || s == "40P01"
}

func isDuplicate(err error) bool { return sqlState(err) == "23505" }

// isRow reports whether err concerns the values of one row.
func isRow(err error) bool {
	s := sqlState(err)
	return strings.HasPrefix(s, "22") || strings.HasPrefix(s, "23") || s == "P0001"
}

func isFull(err error) bool { return sqlState(err) == "53100" }

// failure turns an error of the database into one of package relay.
func failure(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case isFull(err):
		return fmt.Errorf("%w: %w", relay.ErrFull, err)
	case again(err), sqlState(err) == "53300":
		return fmt.Errorf("%w: %w", relay.ErrBusy, err)
	}
	return fmt.Errorf("%w: %w", relay.ErrUnavailable, err)
}
