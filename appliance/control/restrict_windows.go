package control

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// restrict lets only the owner, administrators and the system read the file.
// Nothing is inherited from the folder. The owner is the service's account.
func restrict(path string) error {
	sd, err := windows.SecurityDescriptorFromString("D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;OW)")
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	err = windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
	if err != nil {
		return fmt.Errorf("control: restrict access: %w", err)
	}
	return nil
}
