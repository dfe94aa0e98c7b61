# Speaks to a DICOM server by python3-odil: C-ECHO, then N-CREATE and N-SET of a
# performed procedure step, then an N-SET too much. Prints each status.
#
#   /usr/bin/python3 odil_mpps.py HOST PORT CALLING CALLED
import sys, odil

host, port, calling, called = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
R, P = odil.registry, odil.AssociationParameters.PresentationContext


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
        d.add(k, [v.encode()])
    return d


a = associate(R.Verification)
odil.EchoSCU(a).echo()
a.release()
print('C-ECHO ok')

mpps = '1.2.840.10008.3.1.2.3.3'
a = associate(mpps)
uid = odil.generate_uid()
d = fill(dict(
    SpecificCharacterSet='ISO_IR 192', PatientName='Müller^Bella', PatientID='4711', Modality='DX',
    PerformedProcedureStepStatus='IN PROGRESS', PerformedProcedureStepID='1', PerformedStationAETitle=calling,
    PerformedProcedureStepStartDate='20261122', PerformedProcedureStepStartTime='101500'))
step = fill(dict(StudyInstanceUID='2.25.1234567890', AccessionNumber='1001', ScheduledProcedureStepID='1001'))
d.add('ScheduledStepAttributesSequence', [step])
rq = odil.messages.NCreateRequest(a.next_message_id(), mpps, d)
rq.set_affected_sop_instance_uid(uid)
a.send_message(rq, mpps)
print('N-CREATE', status(a.receive_message()))

end = dict(PerformedProcedureStepStatus='COMPLETED', PerformedProcedureStepEndDate='20261122', PerformedProcedureStepEndTime='103000')
for what in ('N-SET', 'N-SET again'):
    a.send_message(odil.messages.NSetRequest(a.next_message_id(), mpps, uid, fill(end)), mpps)
    print(what, status(a.receive_message()))
a.release()
print('uid', uid)
