package query

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
)

// SOP classes that are asked.
const (
	VerificationClassUID = "1.2.840.10008.1.1"
	WorklistClassUID     = "1.2.840.10008.5.1.4.31"
)

// answerLimits bound one answer.
var answerLimits = dataset.Limits{MaxBytes: 1 << 20, MaxElements: 10_000, MaxDepth: 16}

// Dial opens an association with t that proposes the SOP classes, each with
// the transfer syntaxes of t. The caller releases or aborts it. It fails when
// t does not accept the first of the classes.
func Dial(ctx context.Context, t Target, classes ...string) (*dimse.Client, error) {
	syntaxes := t.TransferSyntaxes
	if len(syntaxes) == 0 {
		syntaxes = []string{dataset.ExplicitLE.UID(), dataset.ImplicitLE.UID()}
	}
	contexts := make([]dimse.ProposedContext, 0, len(classes))
	for _, class := range classes {
		contexts = append(contexts, dimse.ProposedContext{AbstractSyntax: class, TransferSyntaxes: syntaxes})
	}
	c, err := dimse.Dial(ctx, dimse.ClientConfig{
		Address: t.Address, CallingAETitle: t.calling(), CalledAETitle: t.CalledAETitle,
		Contexts: contexts, TLS: t.TLS, MaxDataSet: answerLimits.MaxBytes, Timeouts: dimse.Timeouts(t.Timeouts),
	})
	if err != nil {
		return nil, t.problem(StepAssociate, err)
	}
	if len(classes) > 0 && c.TransferSyntax(classes[0]) == "" {
		_ = c.Release(ctx)
		return nil, t.problem(StepNegotiate, fmt.Errorf("%w: %s", dimse.ErrNotAccepted, classes[0]))
	}
	return c, nil
}

// Echo asks whether t answers (C-ECHO).
func Echo(ctx context.Context, t Target) error {
	c, err := Dial(ctx, t, VerificationClassUID)
	if err != nil {
		return err
	}
	if err := c.Echo(ctx); err != nil {
		_ = c.Abort()
		return t.problem(StepEcho, err)
	}
	_ = c.Release(ctx) // the echo was answered, however the goodbye goes
	return nil
}

// Worklist asks t for its worklist (C-FIND) and yields the answers as they
// come. A loop that is left early cancels the query. An error ends the loop;
// the entries before it are good.
func Worklist(ctx context.Context, t Target, k Keys) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		c, err := open(ctx, t, WorklistClassUID)
		if err != nil {
			yield(nil, err)
			return
		}
		defer c.close(ctx)
		identifier, err := k.identifier(c.syntax)
		if err != nil {
			yield(nil, err)
			return
		}
		for set, err := range c.find(ctx, identifier) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(newEntry(set), nil) {
				return
			}
		}
	}
}

// client is an association for one SOP class.
type client struct {
	*dimse.Client
	target Target
	class  string
	syntax dataset.Syntax
	broken bool // not worth a release
}

// open opens an association for one SOP class.
func open(ctx context.Context, t Target, class string) (*client, error) {
	c, err := Dial(ctx, t, class)
	if err != nil {
		return nil, err
	}
	syntax, ok := dataset.SyntaxByUID(c.TransferSyntax(class))
	if !ok {
		_ = c.Abort()
		return nil, t.problem(StepNegotiate, fmt.Errorf("query: transfer syntax %q was chosen", c.TransferSyntax(class)))
	}
	return &client{Client: c, target: t, class: class, syntax: syntax}, nil
}

// close ends the association.
func (c *client) close(ctx context.Context) {
	if c.broken {
		_ = c.Abort()
		return
	}
	_ = c.Release(ctx)
}

// find sends a C-FIND and yields the answers, decoded.
func (c *client) find(ctx context.Context, identifier []byte) iter.Seq2[*dataset.Set, error] {
	return func(yield func(*dataset.Set, error) bool) {
		for answer, err := range c.Find(ctx, c.class, identifier) {
			if err != nil {
				c.broken = !errors.As(err, new(dimse.Status))
				yield(nil, c.target.problem(StepFind, err))
				return
			}
			set, err := dataset.Parse(answer.Data, c.syntax, answerLimits)
			if err != nil {
				yield(nil, c.target.problem(StepAnswer, err))
				return
			}
			if !yield(set, nil) {
				return
			}
		}
	}
}
