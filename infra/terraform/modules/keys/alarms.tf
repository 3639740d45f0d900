# Both accounts see a request for a key of another account in CloudTrail; the owner watches here, since the host cannot
# be asked to. CloudTrail is minutes late: an alarm tells what has happened, and prevents nothing.

module "topic" {
  source = "../alarm-topic"
  name   = "${var.name}-keys"
  email  = var.alarm_email
}

locals {
  keys = concat([aws_kms_key.epoch.arn], [for key in aws_kms_key.model : key.arn])
  ours = join(" || ", flatten([
    for arn in local.keys : ["($.resources[0].ARN = \"${arn}\")", "($.requestParameters.keyId = \"${arn}\")", "($.requestParameters.keyId = \"${split("/", arn)[1]}\")"]
  ]))
  watched = {
    # Every one of these can release everything, or end it.
    governed = {
      events      = ["PutKeyPolicy", "CreateGrant", "ScheduleKeyDeletion", "DisableKey", "DeleteImportedKeyMaterial", "ReplicateKey", "UpdatePrimaryRegion"]
      error       = ""
      description = "Someone changed who may use a key, or tried to. If it was not you: restore the policy, lint it, and take every document sealed since as read."
    }
    refused = {
      events      = ["Decrypt", "GenerateDataKey", "Encrypt", "ReEncrypt", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair"]
      error       = "($.errorCode = \"AccessDenied*\") && "
      description = "KMS refused a request for a key: an image that the policy does not list, or someone without an enclave."
    }
  }
}

resource "aws_cloudwatch_log_metric_filter" "keys" {
  for_each = local.watched

  name           = "${var.name}-keys-${each.key}"
  log_group_name = var.cloudtrail_log_group_name
  pattern        = "{ ($.eventSource = \"kms.amazonaws.com\") && ${each.value.error}(${join(" || ", [for event in each.value.events : "($.eventName = \"${event}\")"])}) && (${local.ours}) }"

  metric_transformation {
    name          = "keys-${each.key}"
    namespace     = var.name
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_metric_alarm" "keys" {
  for_each = local.watched

  alarm_name          = "${var.name}-keys-${each.key}"
  alarm_description   = each.value.description
  namespace           = var.name
  metric_name         = aws_cloudwatch_log_metric_filter.keys[each.key].metric_transformation[0].name
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [module.topic.arn]
}
