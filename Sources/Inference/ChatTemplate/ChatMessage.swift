/// One message of a conversation: who speaks, and what.
package struct ChatMessage: Sendable, Equatable {
  /// As the request says it: `system`, `developer`, `user` or `assistant`.
  package let role: String
  package let content: String
  /// The speaker's name, where one is told.
  package let name: String?

  package init(role: String, content: String, name: String? = nil) {
    self.role = role
    self.content = content
    self.name = name
  }
}
