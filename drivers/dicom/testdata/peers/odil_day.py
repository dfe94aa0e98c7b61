# Works a day at a machine by python3-odil: C-ECHO, C-FIND of its worklist, then
# N-CREATE and N-SET of the entry with that accession number, with what the
# worklist said about it. Prints each step.
#
#   /usr/bin/python3 odil_day.py HOST PORT CALLING CALLED ACCESSION
import sys, odil

host, port, calling, called, accession = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
R, P = odil.registry, odil.AssociationParameters.PresentationContext
MWL, MPPS = '1.2.840.10008.5.1.4.31', '1.2.840.10008.3.1.2.3.3'


def associate(sop):
    a = odil.Association()
    a.set_peer_host(host)
    a.set_peer_port(port)
    a.update_parameters().set_calling_ae_title(calling).set_called_ae_title(called) \
        .set_presentation_contexts([P(sop, [R.ImplicitVRLittleEndian, R.ExplicitVRLittleEndian], P.Role.SCU)])
    a.associate()
    return a


def status(m):
    return '%04x' % odil.messages.Response(m).get_status()


def fill(values):
    d = odil.DataSet()
    for k, v in values.items():
        d.add(k, [v if isinstance(v, bytes) else v.encode()])
    return d


def value(d, k):
    return d.as_string(k)[0] if d.has(k) and not d.empty(k) else b''


a = associate(R.Verification)
odil.EchoSCU(a).echo()
a.release()
print('C-ECHO ok')

a = associate(MWL)
scu = odil.FindSCU(a)
scu.set_affected_sop_class(MWL)
q, step = odil.DataSet(), odil.DataSet()
for k in ('SpecificCharacterSet', 'AccessionNumber', 'PatientName', 'PatientID', 'PatientSpeciesDescription',
          'ResponsiblePerson', 'StudyInstanceUID', 'RequestedProcedureID'):
    q.add(k)
for k in ('Modality', 'ScheduledProcedureStepStartDate', 'ScheduledProcedureStepStartTime', 'ScheduledProcedureStepID'):
    step.add(k)
step.add('ScheduledStationAETitle', [calling.encode()])
q.add('ScheduledProcedureStepSequence', [step])
answers = scu.find(q)
a.release()
mine = [x for x in answers if value(x, 'AccessionNumber').decode() == accession]
print('C-FIND', len(mine))
found = mine[0]
planned = found.as_data_set('ScheduledProcedureStepSequence')[0]
print('modality', value(planned, 'Modality').decode())
print('species', value(found, 'PatientSpeciesDescription').decode())

a = associate(MPPS)
uid = odil.generate_uid()
d = fill(dict(
    PatientName=value(found, 'PatientName'), PatientID=value(found, 'PatientID'), Modality=value(planned, 'Modality'),
    PerformedProcedureStepStatus='IN PROGRESS', PerformedProcedureStepID='1', PerformedStationAETitle=calling,
    PerformedProcedureStepStartDate='20261122', PerformedProcedureStepStartTime='101500'))
if value(found, 'SpecificCharacterSet'):
    d.add('SpecificCharacterSet', [value(found, 'SpecificCharacterSet')])
d.add('ScheduledStepAttributesSequence', [fill(dict(
    StudyInstanceUID=value(found, 'StudyInstanceUID'), AccessionNumber=accession,
    RequestedProcedureID=value(found, 'RequestedProcedureID'),
    ScheduledProcedureStepID=value(planned, 'ScheduledProcedureStepID')))])
rq = odil.messages.NCreateRequest(a.next_message_id(), MPPS, d)
rq.set_affected_sop_instance_uid(uid)
a.send_message(rq, MPPS)
print('N-CREATE', status(a.receive_message()))
end = dict(PerformedProcedureStepStatus='COMPLETED', PerformedProcedureStepEndDate='20261122', PerformedProcedureStepEndTime='103000')
a.send_message(odil.messages.NSetRequest(a.next_message_id(), MPPS, uid, fill(end)), MPPS)
print('N-SET', status(a.receive_message()))
a.release()
