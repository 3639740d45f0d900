import CPlatform
import Foundation
import Glibc
import Logging
import SealedCrypto
import Synchronization
import Wire

/// Where the relay takes the worker's bytes: KMS, or what plays it.
enum RelayTarget: Hashable, Sendable, CustomStringConvertible {
  /// A stream socket on this machine (devcloud).
  case local(Endpoint)
  /// A host name and a port, such as `kms.eu-west-1.amazonaws.com:443`.
  case tcp(host: String, port: UInt16)
  /// KMS's endpoint of the region of the policy's epoch key, as soon as a policy is there.
  case automatic

  /// Reads `unix:/path`, `host:port` or `auto`.
  init(_ text: String) throws {
    if text == "auto" {
      self = .automatic
      return
    }
    if text.hasPrefix("unix:") || text.hasPrefix("/") || text.hasPrefix("vsock:") {
      self = .local(try Endpoint(text))
      return
    }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, let port = UInt16(parts[1]), port > 0 else {
      throw WireError.malformed("relay target: expected unix:/path or host:port, as in kms.eu-west-1.amazonaws.com:443")
    }
    self = .tcp(host: String(parts[0]), port: port)
  }

  var description: String {
    switch self {
    case .local(let endpoint): "\(endpoint)"
    case .tcp(let host, let port): "\(host):\(port)"
    case .automatic: "auto"
    }
  }

  /// KMS as the worker will ask it to prove itself under this policy.
  ///
  /// - Throws: `WireError` for a key that is no full ARN of a known partition.
  init(of policy: PolicyClaims) throws {
    self = .tcp(host: try KMSKeyARN(policy.epochKey).serverName(fips: policy.useFIPSEndpoint), port: 443)
  }
}

/// Pipes bytes between the worker and KMS. TLS ends in the worker, so all that passes here is ciphertext; the relay
/// can drop, delay or change it, and the worker notices.
final class KMSRelay: Sendable {
  private let listener: Listener
  /// As configured; `automatic` stands for what ``aim`` holds.
  private let configured: RelayTarget
  private let aim = Mutex(RelayTarget.automatic)
  private let log: Logger
  private let stallMilliseconds: Int32
  private let places = Places(count: KMSRelay.connections)
  /// Exchanges at once, each by two threads; a worker has one under way, or a few.
  static let connections = 64
  /// Longest wait for one of KMS's addresses, and for all of them: a worker waits eight seconds for the whole exchange.
  private static let connectMilliseconds: Int64 = 2_500
  private static let connectAllMilliseconds: Int64 = 6_000
  private let lifeMilliseconds: Int32
  private let events: any DaemonEvents

  /// Listens at once, so that the worker can be told the address.
  ///
  /// - Parameters:
  ///   - stallMilliseconds: a KMS exchange moves a few kilobytes, and whoever is silent for so long is gone.
  ///   - lifeMilliseconds: the longest life of a connection, whatever it moves; a worker gives its exchange up long before.
  init(
    listenOn endpoint: Endpoint, target: RelayTarget, log: Logger, stallMilliseconds: Int32 = 30_000,
    lifeMilliseconds: Int32 = 120_000, events: any DaemonEvents = NoDaemonEvents()
  ) throws {
    self.events = events
    self.stallMilliseconds = stallMilliseconds
    self.lifeMilliseconds = lifeMilliseconds
    listener = try Listener(endpoint)
    configured = target
    self.log = log
  }

  private var target: RelayTarget { configured == .automatic ? aim.withLock { $0 } : configured }

  /// Aims a relay without a target of its own at the policy's KMS. There is one target: keys of another region cannot be
  /// used through this relay, which is said once.
  func follow(_ policy: PolicyClaims) {
    guard configured == .automatic, let new = try? RelayTarget(of: policy) else { return }
    guard
      aim.withLock({ (aim: inout RelayTarget) -> Bool in
        defer { aim = new }
        return aim != new
      })
    else { return }
    log.info("relay leads to the policy's KMS", metadata: ["target": "\(new)"])
    let region = try? KMSKeyARN(policy.epochKey).region
    for publisher in policy.publishers where (try? KMSKeyARN(publisher.modelKey).region) != region {
      log.warning(
        "the model key is in another region than the epoch key: its models cannot be opened through one relay",
        metadata: ["key": "\(publisher.modelKey)"])
    }
  }

  /// Where the worker connects, seen from an enclave: on vsock the parent has CID 3.
  var address: Endpoint {
    guard case .vsock(_, let port) = listener.endpoint else { return listener.endpoint }
    return .vsock(cid: 3, port: port)
  }

  /// Serves until ``stop()``, on a thread of its own.
  func start() {
    Thread.detachNewThread { [self] in
      while true {
        do {
          guard let inner = try listener.accept(stallMilliseconds: stallMilliseconds) else { return }
          // One over the limit is closed by being let go; the worker asks again.
          guard places.take() else {
            events.relayConnection(.refused)
            continue
          }
          Thread.detachNewThread { [self] in
            serve(inner)
            places.give()
          }
        } catch {
          // The system is short of something: without a relay the worker could open no key, so it stays.
          log.error("relay: \(error)")
          Thread.sleep(forTimeInterval: 1)
        }
      }
    }
  }

  /// Stops listening; exchanges that are under way end by themselves.
  func stop() { listener.close() }

  private func serve(_ inner: Channel) {
    do {
      let outer = try connect()
      events.relayConnection(.connected)
      inner.limitLife(milliseconds: lifeMilliseconds)
      outer.limitLife(milliseconds: lifeMilliseconds)
      Thread.detachNewThread {
        KMSRelay.pipe(outer, inner)
      }
      KMSRelay.pipe(inner, outer)
    } catch {
      events.relayConnection(.unreachable)
      log.warning("relay: \(target) cannot be reached: \(error)")
      inner.close()
    }
  }

  /// Moves bytes one way until either side ends; then both are closed, since TLS has no use for half a connection.
  private static func pipe(_ source: Channel, _ sink: Channel) {
    defer {
      source.close()
      sink.close()
    }
    while let piece = try? source.read(upTo: 16 << 10), !piece.isEmpty {
      guard (try? sink.write(piece)) != nil else { return }
    }
  }

  private func connect() throws -> Channel {
    switch target {
    case .automatic: throw WireError.connectionLost("no policy in the store says yet where KMS is")
    case .local(let endpoint):
      return try Channel.connect(to: endpoint, stallMilliseconds: stallMilliseconds)
    case .tcp(let host, let port):
      var hints = addrinfo()
      hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
      var found: UnsafeMutablePointer<addrinfo>?
      let code = getaddrinfo(host, "\(port)", &hints, &found)
      guard code == 0 else { throw WireError.connectionLost("\(host): \(String(cString: gai_strerror(code)))") }
      defer { freeaddrinfo(found) }
      var reason = "no address"
      var next = found
      let deadline = cplatform_monotonic_ms() + Self.connectAllMilliseconds
      while let address = next {
        let left = min(Self.connectMilliseconds, deadline - cplatform_monotonic_ms())
        guard left > 0 else { break }
        next = address.pointee.ai_next
        let descriptor = socket(
          address.pointee.ai_family, address.pointee.ai_socktype | Int32(SOCK_CLOEXEC.rawValue),
          address.pointee.ai_protocol)
        guard descriptor >= 0 else { continue }
        // On Linux this bounds connect(2) too; without it an address that swallows packets holds the thread for minutes.
        var patience = timeval(tv_sec: Int(left / 1000), tv_usec: Int(left % 1000) * 1000)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        if Glibc.connect(descriptor, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0 {
          return Channel(descriptor: descriptor, peer: "\(target)", stallMilliseconds: stallMilliseconds)
        }
        reason = String(cString: strerror(errno))
        Glibc.close(descriptor)
      }
      throw WireError.connectionLost("\(target): \(reason)")
    }
  }
}
