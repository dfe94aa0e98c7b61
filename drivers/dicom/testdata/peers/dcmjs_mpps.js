// Speaks to a DICOM server by dcmjs-dimse: C-ECHO, then N-CREATE and N-SET of a
// performed procedure step and what is refused. Prints each status.
//
//   NODE_PATH=... node dcmjs_mpps.js HOST PORT CALLING CALLED
const d = require('dcmjs-dimse');
const { Client, Dataset } = d;
const { CEchoRequest, NCreateRequest, NSetRequest } = d.requests;
d.log.setLevel('error');

const MPPS = '1.2.840.10008.3.1.2.3.3';
const [host, port, calling, called] = process.argv.slice(2);
const hex = (r) => r.getStatus().toString(16).padStart(4, '0');

const send = (...requests) => new Promise((done, fail) => {
  const c = new Client();
  requests.forEach(([name, r]) => {
    r.on('response', (x) => console.log(name, hex(x)));
    c.addRequest(r);
  });
  c.on('networkError', fail);
  c.on('associationRejected', (r) => fail(new Error(JSON.stringify(r))));
  c.on('closed', done);
  c.send(host, +port, calling, called);
});

const step = (status) => new Dataset({
  _vrMap: {}, PatientName: 'Bella', PatientID: '4711', Modality: 'DX', PerformedProcedureStepID: '1', PerformedStationAETitle: calling,
  PerformedProcedureStepStartDate: '20261122', PerformedProcedureStepStartTime: '101500', PerformedProcedureStepStatus: status,
  PerformedSeriesSequence: [],
  ScheduledStepAttributesSequence: [
    { StudyInstanceUID: '2.25.1234567890', AccessionNumber: '1001', ScheduledProcedureStepID: '1001' },
    { StudyInstanceUID: '2.25.1234567890', AccessionNumber: '1002', ScheduledProcedureStepID: '1002' },
  ],
});
const end = () => new Dataset({
  _vrMap: {}, PerformedProcedureStepStatus: 'COMPLETED', PerformedProcedureStepEndDate: '20261122', PerformedProcedureStepEndTime: '103000',
  PerformedSeriesSequence: [{
    SeriesInstanceUID: '2.25.99', ProtocolName: 'Thorax', OperatorsName: 'Tech',
    ReferencedImageSequence: [{ ReferencedSOPClassUID: '1.2.840.10008.5.1.4.1.1.1.1', ReferencedSOPInstanceUID: '2.25.100' }],
  }],
});
const create = (uid, status) => {
  const r = new NCreateRequest(MPPS, uid);
  r.setDataset(step(status));
  return r;
};
const set = (uid) => {
  const r = new NSetRequest(MPPS, uid);
  r.setDataset(end());
  return r;
};

(async () => {
  const uid = Dataset.generateDerivedUid();
  await send(['C-ECHO', new CEchoRequest()]);
  await send(['N-CREATE COMPLETED', create(Dataset.generateDerivedUid(), 'COMPLETED')]);
  await send(['N-CREATE', create(uid, 'IN PROGRESS')], ['N-CREATE again', create(uid, 'IN PROGRESS')]);
  await send(['N-SET', set(uid)], ['N-SET again', set(uid)], ['N-SET unknown', set(Dataset.generateDerivedUid())]);
  console.log('uid', uid);
})().catch((e) => {
  console.error(e.message);
  process.exit(1);
});
