// Package secret keeps the appliance's secrets sealed at rest.
//
// One random 32-byte data key seals every secret with AES-256-GCM in the file
// secrets.sealed. Name and installation id are associated data, so a blob can
// be neither renamed nor moved to another installation. The data key itself is
// kept by the best means of the system:
//
//   - Windows: sealed by DPAPI for the account of the service, inside
//     secrets.sealed;
//   - $CREDENTIALS_DIRECTORY/rayhound.key, when systemd hands one over;
//   - otherwise the file secrets.key, mode 0600. A key beside the data stops
//     accidents and copied backups, not a thief of the whole folder.
//
// Secrets are write-only for people: List says when each was set. The type
// Secret prints [secret] through fmt, log/slog and encoding/json.
package secret
