extension KeyPolicyFinding.ID {
  /// How bad a finding is unless it says otherwise, why, and how to mend it.
  var advice: (severity: KeyPolicyFinding.Severity, why: String, mend: String) {
    switch self {
    case .allowUnattested:
      (
        .defeats, "whoever it names has the secret without any enclave",
        "remove the action, or put the three attestation conditions on it and a Deny for everyone beside it"
      )
    case .missingDeny:
      (
        .defeats, "an Allow in another statement, an IAM policy or a grant would be enough",
        "add a Deny for Principal \"*\" with StringNotEqualsIgnoreCase on each of ImageSha384, PCR1, PCR2, a statement each"
      )
    case .missingRegister:
      (
        .defeats,
        "PCR0 alone does not fix where kernel, command line and ramdisk part, so another program can share it",
        "add a Deny for Principal \"*\" with StringNotEqualsIgnoreCase on this register, in a statement of its own"
      )
    case .denyPrincipal:
      (.defeats, "everyone whom it does not name is not denied", "write Principal \"*\" in the Deny")
    case .denyConjunction:
      (
        .defeats,
        "the conditions of one statement hold together, so it denies only where all of them are wrong at once",
        "write one Deny statement for each register"
      )
    case .denyOperator:
      (
        .defeats, "this operator does not hold for a request without attestation, so the Deny lets it pass",
        "use StringNotEqualsIgnoreCase: it holds where the key is absent"
      )
    case .denyCondition:
      (
        .defeats, "a caller whose request does not meet the further condition is not denied",
        "leave nothing but the attestation condition in the Deny"
      )
    case .plantsSecret:
      (
        .defeats, "whoever may do it can make a seed file of a seed that he knows and offer it to an enclave",
        "deny kms:Encrypt, kms:ReEncrypt*, kms:GenerateDataKeyWithoutPlaintext and kms:GenerateDataKeyPair* to Principal \"*\""
      )
    case .mixesImages:
      (
        .weakens,
        "values of one condition are alternatives and conditions hold together, so lists accept cross combinations "
          + "of registers that no reviewed image has",
        "one Allow for each image, and for each image a Deny that ties PCR1 and PCR2 to its PCR0 (kms-generate does it)"
      )
    case .releasesNothing:
      (.weakens, "no enclave can work with this key", "generate the policy from the image's measurements")
    case .denyExempts:
      (
        .weakens, "an IAM policy or a grant could release to that image, and nobody lists it",
        "take the value out of the Deny, or allow the image openly"
      )
    case .unknownImage:
      (
        .defeats, "an image that the signed policy does not list is given keys",
        "take it out, or have the security officer list it"
      )
    case .imageNotReleased:
      (.weakens, "workers of this image are refused by KMS", "generate the policy again with its measurements")
    case .signerNotDemanded:
      (
        .informs, "PCR0 fixes the image; PCR8 would also fix who signed it",
        "generate with --pcr8 if the signer matters to you"
      )
    case .allowFewerRegisters:
      (
        .weakens, "only the Deny beside it demands the rest", "demand ImageSha384, PCR1 and PCR2 in the Allow as well"
      )
    case .allowOperator:
      (
        .weakens, "the condition holds for a request without attestation",
        "use StringEqualsIgnoreCase, without IfExists and without ForAllValues"
      )
    case .debugRegister:
      (
        .defeats, "zeros are what every enclave in debug mode has, and the host reads its memory",
        "measure the image (`ephemeral image measure`), and never run it in debug mode"
      )
    case .badValue:
      (
        .weakens, "a register is 96 lower-case hexadecimal digits; anything else never matches as it is meant",
        "copy the value from `ephemeral image measure`"
      )
    case .misspeltKey:
      (
        .defeats, "no request has such a condition key, so it is not checked as it reads",
        "write kms:RecipientAttestation:ImageSha384 or kms:RecipientAttestation:PCR<n>"
      )
    case .keyCase:
      (
        .informs, "condition keys have no case, but people and other tools look for the documented form",
        "write it as AWS does"
      )
    case .wildcardValue:
      (.defeats, "a pattern admits images that nobody measured", "write the whole value with StringEqualsIgnoreCase")
    case .wrongOperator:
      (.weakens, "this operator does not compare a register", "use StringEqualsIgnoreCase or StringNotEqualsIgnoreCase")
    case .wildcardPrincipal:
      (.defeats, "anyone with an AWS account is meant", "name the role")
    case .notPrincipal:
      (
        .defeats, "NotPrincipal means everyone but those it names, now and later",
        "name those who are meant, or \"*\" in a Deny"
      )
    case .notAction:
      (.weakens, "it covers actions by leaving others out, those that AWS adds later too", "list the actions")
    case .viaService:
      (
        .weakens, "an enclave calls KMS itself; a request through a service carries no attestation",
        "remove kms:ViaService"
      )
    case .resource:
      (.weakens, "in a key policy \"*\" is the key itself, and any other text may miss it", "write \"Resource\": \"*\"")
    case .mayChangePolicy:
      (
        .informs, "who changes the policy, or makes a grant, can release every document",
        "keep the list short, and put an alarm on these calls"
      )
    case .nobodyMayChangePolicy:
      (
        .weakens, "a mistake, or the next image, would need AWS Support",
        "give kms:PutKeyPolicy to two administrators' roles"
      )
    case .hostMayChangePolicy:
      (.defeats, "the host can put its own policy in the place of this one", "leave governing to other roles")
    case .iamEnabled:
      (
        .informs, "IAM policies of that account can allow whatever no Deny of this policy stops, PutKeyPolicy among it",
        "name roles instead of the account, or guard the account's IAM as you guard this key"
      )
    case .sameAccount:
      (
        .informs, "whoever administers the host's account may come to administer the key",
        "keep the keys in the data owner's account, and the host in another"
      )
    case .multiRegion:
      (
        .defeats, "a replica in another Region has a policy of its own, and opens the same ciphertexts",
        "make a single-Region key"
      )
    case .importedMaterial:
      (.defeats, "whoever imported the key material has it", "make a key whose origin is AWS_KMS")
    case .customKeyStore:
      (
        .defeats, "the key lives outside of AWS's own HSMs, under whoever runs the store",
        "make a key whose origin is AWS_KMS"
      )
    case .wrongKeyType:
      (
        .defeats, "protocol and policy are made for a symmetric key that encrypts and decrypts",
        "make a key of SYMMETRIC_DEFAULT for ENCRYPT_DECRYPT"
      )
    case .notEnabled:
      (.weakens, "nothing can be sealed or opened under it", "enable the key, or cancel its deletion, now")
    case .managedByAWS:
      (.defeats, "you do not govern its policy", "make a customer managed key")
    case .grant:
      (
        .weakens,
        "a grant allows by itself, no attestation can be demanded in it, and only an explicit Deny outweighs it",
        "revoke it: aws kms revoke-grant"
      )
    case .grantsTruncated:
      (
        .weakens, "grants that are not in the file were not looked at",
        "list them all: aws kms list-grants without --max-items"
      )
    }
  }
}
