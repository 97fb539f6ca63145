package import Bytes

/// Reading and writing of reports and shards as JSON.
package enum ParityDocument {
  case report(ParityReport)
  case evidence(ParityEvidence)

  /// Reads either document, told apart by its `format`.
  ///
  /// - Throws: `report.malformed` and what the JSON reader throws.
  package init(json bytes: [UInt8]) throws(IngotError) {
    let value = try JSONValue(parsing: bytes)
    switch value.object?["format"]?.string {
    case ParityReport.format: self = .report(try value.decoded(as: ParityReport.self))
    case ParityEvidence.format: self = .evidence(try value.decoded(as: ParityEvidence.self))
    default:
      throw IngotError(
        "report.malformed", "is neither a parity report nor a shard of one",
        advice: "Give a file written by `ingot verify --json`.")
    }
  }

  /// The document as JSON; the same bytes for the same value.
  package func json(_ style: JSONWriter.Style = .pretty) throws(IngotError) -> [UInt8] {
    switch self {
    case .report(let report): ReportSeal.sealed(try JSONValue(encoding: report)).serialized(style)
    case .evidence(let evidence): try JSONValue(encoding: evidence).serialized(style)
    }
  }
}
