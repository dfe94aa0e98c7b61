package control

import (
	"context"
	"net/url"

	"github.com/rayhound/rayhound/ui"
)

// Webhooks looks at our webhooks in Provet Cloud.
func (c *Client) Webhooks(ctx context.Context) (ui.Webhooks, error) {
	return get[ui.Webhooks](ctx, c, base+"provet/webhooks", nil)
}

// RegisterWebhooks sets them up.
func (c *Client) RegisterWebhooks(ctx context.Context) (ui.Webhooks, error) {
	return post[ui.Webhooks](ctx, c, base+"provet/webhooks", nil)
}

// OfferedCredentials shows the credentials that wait for a person.
func (c *Client) OfferedCredentials(ctx context.Context) (ui.OfferedCredentials, error) {
	return get[ui.OfferedCredentials](ctx, c, base+"provet/credentials", nil)
}

// DecideCredentials uses or drops them.
func (c *Client) DecideCredentials(ctx context.Context, id string, accept bool) error {
	action := "drop"
	if accept {
		action = "accept"
	}
	_, err := post[nothing](ctx, c, base+"provet/credentials/"+url.PathEscape(id)+"/"+action, nil)
	return err
}
