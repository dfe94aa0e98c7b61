// Package query is what we ask other DICOM applications, as SCU: whether they
// answer (Verification, C-ECHO), what is on their worklist (Modality Worklist,
// C-FIND) and whether an archive has a study (Study Root, C-FIND).
//
// Each call is one association of its own. An error is a problem RH-307 that
// names the step that failed and both AE titles; inside it is an *Error.
package query
