# The keys, in the account of the data's owner: who owns the key owns the confidentiality. The policies are files that
# `ephemeral policy kms-generate` wrote and `kms-lint` judged; nothing here writes or widens a policy.

data "aws_caller_identity" "current" {}

locals {
  account      = data.aws_caller_identity.current.account_id
  host_account = split(":", var.instance_role_arn)[4]
  epoch_policy = file(var.epoch_key_policy_file)
  model_policies = {
    for owner, path in var.model_key_policy_files : owner => file(path)
  }
}

# A warning at every plan and apply, not an error: for trying things out one account will do.
check "keys_and_host_are_apart" {
  assert {
    condition     = local.account != local.host_account
    error_message = "The keys and the host share account ${local.account}: whoever administers it can come to the keys. Put the keys into the data owner's own account."
  }
}

# Symmetric, one Region, key material of AWS: the defaults, written out because the linter demands them of DescribeKey.
resource "aws_kms_key" "epoch" {
  # checkov:skip=CKV2_AWS_64: the policy is a file, which checkov does not read; kms-lint does
  description                        = "${var.name}: wraps epoch seeds; enclaves alone generate and decrypt"
  policy                             = local.epoch_policy
  key_usage                          = "ENCRYPT_DECRYPT"
  customer_master_key_spec           = "SYMMETRIC_DEFAULT"
  multi_region                       = false
  bypass_policy_lockout_safety_check = false
  enable_key_rotation                = true
  deletion_window_in_days            = 30
  tags                               = { Name = "${var.name}-epoch", "ephemeralml:use" = "epoch" }

  lifecycle {
    # Without the key no bundle, result or seed of its epochs can be opened again, by anyone.
    prevent_destroy = true
    precondition {
      condition     = strcontains(local.epoch_policy, "\"${var.instance_role_arn}\"")
      error_message = "The epoch key's policy does not name ${var.instance_role_arn}: generate it with this --instance-role."
    }
    precondition {
      condition     = strcontains(local.epoch_policy, "\"NobodyHandsOutOrBringsIn\"")
      error_message = "The epoch key's policy was not written by `ephemeral policy kms-generate`."
    }
  }
}

resource "aws_kms_key" "model" {
  # checkov:skip=CKV2_AWS_64: the policy is a file, which checkov does not read; kms-lint does
  for_each = local.model_policies

  description                        = "${var.name}: wraps the models of ${each.key}; its publisher encrypts, enclaves alone decrypt"
  policy                             = each.value
  key_usage                          = "ENCRYPT_DECRYPT"
  customer_master_key_spec           = "SYMMETRIC_DEFAULT"
  multi_region                       = false
  bypass_policy_lockout_safety_check = false
  enable_key_rotation                = true
  deletion_window_in_days            = 30
  tags                               = { Name = "${var.name}-model-${each.key}", "ephemeralml:use" = "model" }

  lifecycle {
    prevent_destroy = true
    precondition {
      condition     = strcontains(each.value, "\"${var.instance_role_arn}\"") && strcontains(each.value, "\"NobodyHandsOutOrBringsIn\"")
      error_message = "The model key's policy of ${each.key} was not generated for ${var.instance_role_arn}."
    }
  }
}
