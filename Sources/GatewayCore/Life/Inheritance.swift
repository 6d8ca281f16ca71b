internal import Glibc
internal import Settings
internal import Transport
internal import Wire

/// What the process was started with: its command line, its environment, listening sockets that were given to it, and
/// the gateway that gave them, if it is to take over from one. Made once, before any other thread; the control thread's.
package final class Inheritance {
    /// A socket that no setting has asked for yet.
    struct Offer {
        let socket: ListeningSocket
        /// As its giver calls it: the setting, when it means to help (`listen`, `tls.listen`, `forward_auth.listen`).
        let name: String
        /// Among all that were given, from 0 on.
        let position: Int
    }

    /// A descriptor that is of no use, in words.
    struct Reject: Hashable {
        let name: String
        let reason: String
    }

    /// The program as it was called, and its arguments.
    let commandLine: [String]
    /// Without the variables that spoke of descriptors: they are for us alone.
    package private(set) var environment: [String: String]
    private(set) var offers: [Offer] = []
    private(set) var rejects: [Reject] = []
    /// Positions of the sockets that are in use.
    private(set) var kept: Set<Int> = []
    private(set) var predecessor: Predecessor?

    /// Takes the descriptors and removes the variables, of the process, too.
    /// - Parameter environment: The process's.
    package init(commandLine: [String], environment: [String: String]) throws(Gateway.StartFailure) {
        self.commandLine = commandLine
        self.environment = environment
        let given: InheritedDescriptors?
        do throws(InheritedDescriptors.Fault) {
            given = try InheritedDescriptors.read(environment, process: getpid(), parent: getppid())
        } catch {
            throw Gateway.StartFailure(description: error.description)
        }
        for name in InheritedDescriptors.variables {
            self.environment[name] = nil
            unsetenv(name)
        }
        guard let given else { return }
        for (position, name) in given.names.enumerated() {
            let descriptor = InheritedDescriptors.first + Int32(position)
            switch given.origin {
            case .supervisor: adopt(descriptor, name, position, isHeldElsewhere: true)
            case .predecessor where name == Upgrade.lineName:
                predecessor = StreamSocket.adopting(descriptor).map { Predecessor($0) }
            case .predecessor:
                let isHeld = name.hasSuffix(Upgrade.heldMark)
                adopt(
                    descriptor, String(name.dropLast(isHeld ? Upgrade.heldMark.count : 0)), position,
                    isHeldElsewhere: isHeld)
            }
        }
    }

    /// To the gateway that waits for this process to serve: why it cannot.
    package func refuse(_ reason: String) { predecessor?.refuse(reason) }

    private func adopt(_ descriptor: Int32, _ name: String, _ position: Int, isHeldElsewhere: Bool) {
        do throws(AdoptionFault) {
            let socket = try ListeningSocket(adopting: descriptor, isHeldElsewhere: isHeldElsewhere)
            offers.append(Offer(socket: socket, name: name, position: position))
        } catch {
            rejects.append(Reject(name: name, reason: "descriptor \(descriptor): \(error)"))
        }
    }

    /// All sockets that were given for this address; none: it is to be bound.
    func claim(_ text: Configuration.SocketAddressText, of setting: String) -> [ListeningSocket] {
        take(Inheritance.match(text, of: setting, among: offers.map { ($0.socket.address, $0.name) }))
    }

    /// The socket that was given for this path.
    func claim(path: String) -> ListeningSocket? {
        take(offers.indices.filter { offers[$0].socket.address == .unix(path: path) }.prefix(1).map(\.self)).first
    }

    private func take(_ places: [Int]) -> [ListeningSocket] {
        let taken = places.map { offers[$0] }
        kept.formUnion(taken.map(\.position))
        offers.removeAll { offer in taken.contains { $0.position == offer.position } }
        return taken.map(\.socket)
    }

    /// Places of the offers that are for this address. Port 0 means any one port of those with the setting's name.
    static func match(
        _ text: Configuration.SocketAddressText, of setting: String,
        among offers: [(address: SocketAddress?, name: String)]
    ) -> [Int] {
        guard let ip = IPAddress(text.host) else { return [] }
        var wanted = SocketAddress.ip(ip, port: text.port)
        if text.port == 0 {
            guard let named = offers.first(where: { $0.name == setting && $0.address?.ip == ip })?.address else {
                return []
            }
            wanted = named
        }
        return offers.indices.filter { offers[$0].address == wanted }
    }

    /// Closes what nobody wanted, and says what it was.
    func closeRest() -> [Reject] {
        defer {
            offers = []
            rejects = []
        }
        return rejects
            + offers.map { Reject(name: $0.name, reason: "no setting names \($0.socket.address?.description ?? "it")") }
    }
}

/// Which of `sockets` each of the workers watches, by number: every socket is watched, and every worker watches one.
func share(_ sockets: Int, among workers: Int) -> [[Int]] {
    (0..<workers).map { worker in
        sockets < workers ? [worker % sockets] : Array(stride(from: worker, to: sockets, by: workers))
    }
}
