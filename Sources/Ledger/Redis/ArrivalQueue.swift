/// First in, first out: calls whose answers come in their order. Taking one moves no other, but now and again.
package struct ArrivalQueue<Element> {
    private var elements: [Element] = []
    /// Those in front of it have been taken.
    private var head = 0

    package init() {}

    package var first: Element? { head < elements.count ? elements[head] : nil }

    package mutating func append(_ element: Element) { elements.append(element) }

    package mutating func popFirst() -> Element? {
        guard let element = first else { return nil }
        head += 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: elements.capacity < 4_096)
            head = 0
        } else if head > 1_024, head > elements.count / 2 {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }

    mutating func takeAll() -> ArraySlice<Element> {
        let all = elements[head...]
        self = ArrivalQueue()
        return all
    }
}
