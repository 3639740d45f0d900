import Testing

/// The tests play the host between daemon and worker and in the store. Each case ends in a refusal by the side that
/// matters, none in a crash or in a wrong acceptance; one after another, since they share a worker.
@Suite("Hostile host", .serialized)
struct HostileHost {}
