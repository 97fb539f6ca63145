package import Bytes

/// The hash that a report ends with: SHA-256 of the compact JSON of everything before it.
///
/// It tells an edited report from the one that was written. Who edits a report can compute the
/// hash again; what cannot be forged are the figures, which anyone can derive again from the files
/// (`ingot check --report FILE --rerun N`).
package enum ReportSeal {
  package static let key = "report_sha256"

  /// The document with its hash as the last member.
  static func sealed(_ document: JSONValue) -> JSONValue {
    guard case .object(var object) = document else { return document }
    object.append(key, .string(digest(document)))
    return .object(object)
  }

  /// Whether a document read from a file is the one that was written, whatever its spacing.
  package static func isIntact(_ document: JSONValue) -> Bool {
    guard let object = document.object, let found = object[key]?.string else { return false }
    var rest = JSONObject()
    for member in object where member.name != key { rest.append(member.name, member.value) }
    return digest(.object(rest)) == found
  }

  private static func digest(_ document: JSONValue) -> String {
    Checksum(of: document.serialized(.compact)).hexadecimal
  }
}
