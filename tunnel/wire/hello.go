package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
)

// HelloBytes are what an agent signs with its identity (Ed25519) in a hello, so that
// a signature serves one relay and one connection:
//
//	"rayhound-tunnel.v1 hello" 00 nonce host 00 clinic 00 instance
//
// nonce is the 32 bytes of the challenge and host the relay's name, see [HostName].
func HelloBytes(nonce []byte, host string, clinic ClinicID, instance InstanceID) []byte {
	b := append([]byte(Protocol+" hello\x00"), nonce...)
	return append(b, host+"\x00"+string(clinic)+"\x00"+string(instance)...)
}

// PollBytes are what an agent signs in the hello of a long-poll request. The nonce is
// text and the request is part of it, so that nobody can make another request of it:
//
//	"rayhound-tunnel.v1 poll" 00 nonce 00 host 00 clinic 00 instance 00 method 00 target 00 SHA-256(body)
//
// target is the path with its query, as sent.
func PollBytes(nonce, host string, clinic ClinicID, instance InstanceID, method, target string, body []byte) []byte {
	sum := sha256.Sum256(body)
	b := []byte(Protocol + " poll\x00" + nonce + "\x00" + host + "\x00" + string(clinic) + "\x00" +
		string(instance) + "\x00" + method + "\x00" + target + "\x00")
	return append(b, sum[:]...)
}

// Verify tells whether sig is identity's signature of msg. A key or signature of the
// wrong length is a wrong one.
func Verify(identity ed25519.PublicKey, msg, sig []byte) bool {
	return len(identity) == ed25519.PublicKeySize && len(sig) == ed25519.SignatureSize && ed25519.Verify(identity, msg, sig)
}
