// Package hl7sim is a simulated RIS: it takes orders by MLLP, holds them, and
// sends status and reports back, as a radiology information system or an image
// manager would (IHE SWF.b, RAD-2, RAD-3, RAD-28). It ships, for the demo, for
// training and for certification, and it can be made to misbehave in every way
// that has been seen of such systems.
//
//	r, err := hl7sim.New(hl7sim.Config{SendTo: "127.0.0.1:2575"})
//	go r.Serve(ctx, listener)
//
// # What it holds
//
// [RIS.Orders] are the orders by accession number (OBR-18, IPC-1, else ORC-2) with
// their steps and the state that NW, XO, RP, CA and DC left them in;
// [RIS.Messages] is every message by its MSH-10 in the order of first arrival, with
// the number of its deliveries. A message that comes again with the same bytes is
// answered and not applied again. [RIS.Snapshot] is all of it at one moment, with
// what no sender should do ([Anomaly]): the change of an order nobody sent, the
// same control id for two messages. All is kept in memory, within the bounds of
// [Config].
//
// # What it sends
//
// [RIS.Number], [RIS.Schedule], [RIS.Start], [RIS.Complete], [RIS.Report],
// [RIS.Correct], [RIS.Cancel], [RIS.Discontinue] and [RIS.Refuse] send what their
// name says about one order to Config.SendTo and return the answer; [RIS.Send]
// sends any bytes. With [Config].Auto the RIS does so by itself.
//
// # Faults
//
// [RIS.Inject] puts a [Fault] in force, for a number of messages, for a share of
// them or until it is removed: a kind of the side that answers or of the side that
// sends ([Kinds]). [RIS.Unplug] and [RIS.Plug] take it off the network and bring it
// back.
package hl7sim
