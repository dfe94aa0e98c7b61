// Package relayd hosts a relay: it opens the store that the settings name, the
// ports and the certificates, and stops everything in order. What a relay does
// is in tunnel/relay.
package relayd
