/// Whether a model takes conversations, and how they become prompts.
///
/// A template that cannot be read costs a model its conversations, not its completions: templates are programs, and some
/// use more of their language than is read here.
package struct Conversations: Sendable {
  /// The template with its special tokens; nil where the model has none, or ``refusal`` says why it cannot be read.
  package let files: ChatTemplateFiles?
  /// Why the model's template cannot be read.
  package let refusal: ModelError?

  init(files: ModelFiles) {
    self.init { () throws(ModelError) in try ChatTemplateFiles(files: files) }
  }

  init(_ header: GGUFHeader) {
    self.init { () throws(ModelError) in try ChatTemplateFiles(header) }
  }

  private init(_ read: () throws(ModelError) -> ChatTemplateFiles?) {
    do {
      (files, refusal) = (try read(), nil)
    } catch {
      (files, refusal) = (nil, error)
    }
  }
}
