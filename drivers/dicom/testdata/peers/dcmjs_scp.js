// A DICOM server by dcmjs-dimse that keeps performed procedure steps: the
// independent other half for our own MPPS sender. It prints what it stored,
// one JSON object per line.
//
//   NODE_PATH=... node dcmjs_scp.js PORT
const { Server, Scp, responses: R, constants: C, log } = require('dcmjs-dimse');
log.setLevel('error');

const steps = new Map();
const answer = (r, status, cb, Type) => {
  const x = Type.fromRequest(r);
  x.setStatus(status);
  cb(x);
};

class Peer extends Scp {
  associationRequested(a) {
    for (const { id } of a.getPresentationContexts()) {
      const pc = a.getPresentationContext(id);
      const ts = pc.getTransferSyntaxUids().find((t) =>
        t === C.TransferSyntax.ExplicitVRLittleEndian || t === C.TransferSyntax.ImplicitVRLittleEndian);
      if (ts) pc.setResult(C.PresentationContextResult.Accept, ts);
      else pc.setResult(C.PresentationContextResult.RejectTransferSyntaxesNotSupported);
    }
    this.sendAssociationAccept();
  }
  associationReleaseRequested() { this.sendAssociationReleaseResponse(); }
  cEchoRequest(r, cb) { answer(r, 0, cb, R.CEchoResponse); }
  nCreateRequest(r, cb) {
    const uid = r.getAffectedSopInstanceUid(), e = r.getDataset().getElements(), s = e.PerformedProcedureStepStatus;
    const status = steps.has(uid) ? 0x0111 : s !== 'IN PROGRESS' ? 0x0106 : 0;
    if (!status) steps.set(uid, s);
    console.log(JSON.stringify({ operation: 'N-CREATE', uid, status, elements: e }));
    answer(r, status, cb, R.NCreateResponse);
  }
  nSetRequest(r, cb) {
    const uid = r.getRequestedSopInstanceUid(), was = steps.get(uid), e = r.getDataset().getElements();
    const status = !was ? 0x0112 : was !== 'IN PROGRESS' ? 0x0110 : 0;
    if (!status) steps.set(uid, e.PerformedProcedureStepStatus || was);
    console.log(JSON.stringify({ operation: 'N-SET', uid, status, elements: e }));
    answer(r, status, cb, R.NSetResponse);
  }
}

const server = new Server(Peer);
server.on('networkError', (e) => console.error(e.message));
server.listen(+process.argv[2]);
