// Works a day at a machine by dcmjs-dimse: C-ECHO, C-FIND of its worklist, then
// N-CREATE and N-SET of the entry with that accession number, with what the
// worklist said about it. Prints each step.
//
//   NODE_PATH=... node dcmjs_day.js HOST PORT CALLING CALLED ACCESSION
const d = require('dcmjs-dimse');
const { Client, Dataset } = d;
const { CEchoRequest, CFindRequest, NCreateRequest, NSetRequest } = d.requests;
d.log.setLevel('error');

const MPPS = '1.2.840.10008.3.1.2.3.3';
const [host, port, calling, called, accession] = process.argv.slice(2);
const hex = (r) => r.getStatus().toString(16).padStart(4, '0');

const send = (request, hear) => new Promise((done, fail) => {
  const c = new Client();
  request.on('response', hear);
  c.addRequest(request);
  c.on('networkError', fail);
  c.on('associationRejected', (r) => fail(new Error(`rejected ${r.result},${r.source},${r.reason}`)));
  c.on('closed', done);
  c.send(host, +port, calling, called);
});
const first = (x) => (Array.isArray(x) ? x[0] : x);
const text = (x) => {
  const v = first(x);
  return v && typeof v === 'object' ? v.Alphabetic || '' : v || '';
};

(async () => {
  await send(new CEchoRequest(), (x) => console.log('C-ECHO', hex(x)));

  const found = [];
  await send(CFindRequest.createWorklistFindRequest({
    AccessionNumber: '', PatientName: '', PatientID: '', PatientSpeciesDescription: '', StudyInstanceUID: '', RequestedProcedureID: '',
    ScheduledProcedureStepSequence: [{ Modality: '', ScheduledStationAETitle: calling, ScheduledProcedureStepStartDate: '', ScheduledProcedureStepID: '' }],
  }), (x) => {
    if (x.hasDataset()) found.push(x.getDataset().getElements());
  });
  const mine = found.filter((e) => e.AccessionNumber === accession);
  console.log('C-FIND', mine.length);
  const planned = first(mine[0].ScheduledProcedureStepSequence);
  console.log('modality', planned.Modality);
  console.log('species', mine[0].PatientSpeciesDescription);

  const uid = Dataset.generateDerivedUid();
  const create = new NCreateRequest(MPPS, uid);
  create.setDataset(new Dataset({
    _vrMap: {}, PatientName: text(mine[0].PatientName), PatientID: mine[0].PatientID, Modality: planned.Modality,
    PerformedProcedureStepID: '1', PerformedStationAETitle: calling, PerformedProcedureStepStartDate: '20261122',
    PerformedProcedureStepStartTime: '101500', PerformedProcedureStepStatus: 'IN PROGRESS', PerformedSeriesSequence: [],
    ScheduledStepAttributesSequence: [{
      StudyInstanceUID: mine[0].StudyInstanceUID, AccessionNumber: accession, RequestedProcedureID: mine[0].RequestedProcedureID,
      ScheduledProcedureStepID: planned.ScheduledProcedureStepID,
    }],
  }));
  await send(create, (x) => console.log('N-CREATE', hex(x)));
  const set = new NSetRequest(MPPS, uid);
  set.setDataset(new Dataset({
    _vrMap: {}, PerformedProcedureStepStatus: 'COMPLETED', PerformedProcedureStepEndDate: '20261122', PerformedProcedureStepEndTime: '103000',
    PerformedSeriesSequence: [{
      SeriesInstanceUID: '2.25.99', ProtocolName: 'Thorax', OperatorsName: 'Tech',
      ReferencedImageSequence: [{ ReferencedSOPClassUID: '1.2.840.10008.5.1.4.1.1.1.1', ReferencedSOPInstanceUID: '2.25.100' }],
    }],
  }));
  await send(set, (x) => console.log('N-SET', hex(x)));
})().catch((e) => {
  console.error(e.message);
  process.exit(1);
});
