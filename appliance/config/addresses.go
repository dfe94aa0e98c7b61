package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// checkListen checks an address to listen on: [host]:port, where host is an IP
// address. loopback allows only those of the computer itself.
func checkListen(at, addr string, loopback bool, errs *Errors) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		errs.add(at, "such as 127.0.0.1:18470 or :11112", "%q is not an address with a port", clip(addr))
		return
	}
	checkPort(at, port, 0, errs)
	if host == "" && !loopback {
		return
	}
	ip, err := netip.ParseAddr(host)
	if loopback && (err != nil || !ip.IsLoopback()) {
		errs.add(at, "write 127.0.0.1 or [::1]", "the page answers on this computer only; %q is not its loopback address", clip(host))
		return
	}
	if err != nil {
		errs.add(at, "", "%q is not an IP address", clip(host))
	}
}

// checkPeer checks the address of another computer: host:port.
func checkPeer(at, addr string, errs *Errors) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		errs.add(at, "such as 192.168.1.20:11112", "%q is not a host with a port", clip(addr))
		return
	}
	checkPort(at, port, 1, errs)
	if _, err := netip.ParseAddr(host); err == nil {
		return
	}
	if len(host) > 253 || strings.ContainsFunc(host, func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		errs.add(at, "", "%q is not the name of a computer", clip(host))
	}
}

func checkPort(at, port string, least uint64, errs *Errors) {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n < least {
		errs.add(at, "", "%q is not a port number", clip(port))
	}
}

// checkSource checks where a machine may call from: an IP address or a network.
func checkSource(at, s string, errs *Errors) {
	if _, err := netip.ParseAddr(s); err == nil {
		return
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return
	}
	errs.add(at, "such as 192.168.1.40 or 192.168.1.0/24", "%q is not an IP address or network", clip(s))
}

// checkWebURL checks an address that must be encrypted except on loopback.
func checkWebURL(at, s, secure, plain string, errs *Errors) {
	if s == "" {
		return
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		errs.add(at, "", "%q is not an address such as %s://example.com/1234", clip(s), secure)
	case u.User != nil:
		errs.add(at, "secrets are set with rayhound secret set", "a name or password does not belong into the address")
	case u.RawQuery != "" || u.Fragment != "":
		errs.add(at, "", "nothing after ? or # belongs into the address")
	case u.Scheme == secure:
	case u.Scheme == plain && isLoopbackHost(u.Hostname()):
	case u.Scheme == plain:
		errs.add(at, "write "+secure+"://", "%s:// is allowed on this computer's loopback address only", plain)
	default:
		errs.add(at, "", "the address must begin with %s://", secure)
	}
}

func checkProxy(at, s string, errs *Errors) {
	if s == "" {
		return
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		errs.add(at, "such as http://proxy.clinic.local:3128", "%q is not the address of a proxy", clip(s))
	case u.User != nil:
		errs.add(at, "secrets never stand in this file", "a name or password does not belong into the address")
	case u.Scheme != "http" && u.Scheme != "https":
		errs.add(at, "", "the address must begin with http:// or https://")
	}
}

func checkViewer(at, s string, errs *Errors) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		errs.add(at, "such as https://viewer/?patient=", "%q is not the address of a viewer", clip(s))
	case u.User != nil:
		errs.add(at, "", "a name or password does not belong into the address")
	}
}

func isLoopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
