internal import Crypto

/// Which members of a JSON object somebody wants, compiled into a tree of names, so that one pass over the bytes finds
/// them all and builds nothing for the rest.
struct ClaimPlan: Sendable {
    /// Where a claim is looked for. A name with dots may be one member (`https://example.org/roles`) or a path
    /// (`realm_access.roles`); the member of exactly that name wins.
    struct Claim: Hashable, Sendable {
        fileprivate(set) var literal: Int
        fileprivate(set) var nested: Int?
    }

    private struct Node {
        var nameStart = 0
        var nameCount = 0
        var slot = -1
        var firstChild = ClaimPlan.nowhere
        var nextSibling = ClaimPlan.nowhere
    }

    private var text: [UInt8] = []
    private var nodes = [Node()]
    private(set) var slotCount = 0

    /// The node of the outermost object.
    static let root = 0
    /// Below here nothing is wanted.
    static let nowhere = -1

    /// Wants the claim `name`; the same name gives the same claim.
    mutating func claim(_ name: String) -> Claim {
        let bytes = Array(name.utf8)
        let literal = slot(at: [bytes])
        let path = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map(Array.init)
        guard path.count > 1, path.count < ClaimScanner.maximumDepth, path.allSatisfy({ !$0.isEmpty }) else {
            return Claim(literal: literal, nested: nil)
        }
        return Claim(literal: literal, nested: slot(at: path))
    }

    /// Wants the outermost member `name`, dots or not.
    mutating func member(_ name: String) -> Int { slot(at: [Array(name.utf8)]) }

    private mutating func slot(at path: [[UInt8]]) -> Int {
        var node = ClaimPlan.root
        for name in path {
            let existing = child(of: node, named: name.span)
            if existing != ClaimPlan.nowhere {
                node = existing
                continue
            }
            nodes.append(Node(nameStart: text.count, nameCount: name.count, nextSibling: nodes[node].firstChild))
            text += name
            nodes[node].firstChild = nodes.count - 1
            node = nodes.count - 1
        }
        if nodes[node].slot < 0 {
            nodes[node].slot = slotCount
            slotCount += 1
        }
        return nodes[node].slot
    }

    func child(of node: Int, named name: Span<UInt8>) -> Int {
        guard node >= 0 else { return ClaimPlan.nowhere }
        var child = nodes[node].firstChild
        while child != ClaimPlan.nowhere {
            let start = nodes[child].nameStart
            if nodes[child].nameCount == name.count,
                Bytes.equal(text.span.extracting(start..<start + name.count), name)
            {
                return child
            }
            child = nodes[child].nextSibling
        }
        return ClaimPlan.nowhere
    }

    /// The slot that a value at `node` belongs to; −1: it is not wanted itself.
    func slot(of node: Int) -> Int { node < 0 ? -1 : nodes[node].slot }
}
