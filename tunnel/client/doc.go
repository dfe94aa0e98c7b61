// Package client is the appliance's end of the tunnel: it connects out to the relay,
// takes events into an [Inbox] and acknowledges what is durable there.
//
// The [Client] keeps one connection, a websocket or, where a network lets none pass,
// the long-poll. It never gives up: what ends a connection decides how long it waits.
// The protocol is in tunnel/PROTOCOL.md.
package client
