/// The commented policy file that `ephemeral policy init` writes.
package enum PolicyTemplate {
  package static let yaml = """
    # The policy of one deployment: who and what is allowed. Signed offline, verified by every worker and every client.
    #   ephemeral policy lint policy.yaml
    #   ephemeral policy diff last.cose policy.yaml --key policy.pub
    #   ephemeral policy sign policy.yaml --key policy.key --previous last.cose --output policy.cose

    # Grows with every change. Clients and workers refuse an older version, and a second one of the same number.
    version: 1

    # After this nobody accepts it. A restarted enclave knows no older versions: the end of a policy bounds how long it
    # can still be handed to one, so short is safe, and somebody has to sign in time.
    valid_for_days: 90                      # or not_after: 2027-02-20T00:00:00Z

    # The enclave images that may see documents: `ephemeral image measure FILE`. The registers of one image belong
    # together. More than one only during an upgrade, with a note of why and until when.
    measurements:
      - name: worker-0.1
        pcr0: "…"                           # 96 lower-case hexadecimal digits each
        pcr1: "…"
        pcr2: "…"
        # pcr8: "…"                         # of a signed image: its certificate
        note: built on 2026-11-01 from tag v0.1

    # The KMS key that guards the epochs' sealing keys: a full ARN, in the data owner's account, no alias.
    epoch_key: arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555

    # Sealing keys below this number are revoked: no worker opens bundles to them, no client seals to them. This, and
    # not `ephemeral epochs retire`, is how a key that may be known to others is taken out of use.
    minimum_epoch: 1
    epoch_validity_hours: 168               # how long clients seal to one key
    epoch_grace_hours: 48                   # how long after its end workers still open bundles to it

    # Who may submit, and what he may ask for: `ephemeral keys export --name NAME --model DIGEST` prints an entry.
    submitters:
      - name: alice
        key: "…"                            # 64 hexadecimal digits: his Ed25519 key
        operations: [embed]                 # embed, classify, score, generate
        models: ["…"]                       # digests of model manifests, as `ephemeral models publish` prints them

    # Whose models may be used, and the KMS key of each owner's weights, which is never the epoch key.
    publishers:
      - name: models-team
        key: "…"
        model_key: arn:aws:kms:eu-west-1:111122223333:key/66666666-7777-8888-9999-000000000000

    # Weights that a worker may load: safetensors, gguf; F32, F16, BF16, and of GGUF files Q8_0, Q4_0, Q4_1, Q5_0, Q5_1,
    # Q4_K, Q5_K, Q6_K. `ephemeral models verify` says what a model is made of: quantised ones are of several types.
    formats: [safetensors]
    dtypes: [F32]

    # In what a worker may compute: fp32, bf16, int8. Without this key in all of them; what a job left to the worker is
    # then int8 where the model's accuracy check passed. For single models:
    #   model_precisions: [{model: "…", precisions: [fp32]}]
    # precisions: [fp32, bf16, int8]

    # Limits of one job.
    maximum_items: 1000000
    maximum_input_bytes: 17179869184

    # Every manifest must name these, and the worker refuses a job without them: whoever holds such an identity reads
    # every result. Keep it offline. Without any, a submitter who loses his identity loses his results.
    recovery_recipients: []                 # age1pq1…

    require_hybrid_tls: true                # X25519MLKEM768 to KMS
    fips_endpoint: false

    """
}
