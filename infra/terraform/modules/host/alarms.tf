module "topic" {
  source = "../alarm-topic"
  name   = "${var.name}-host"
  email  = var.alarm_email
}

resource "aws_cloudwatch_log_group" "host" {
  # checkov:skip=CKV_AWS_158: the daemon's log holds no content and no secret; encrypted under CloudWatch's own key
  name              = "/${var.name}/host"
  retention_in_days = var.log_retention_days
}

resource "aws_cloudwatch_log_metric_filter" "critical" {
  name           = "${var.name}-critical"
  log_group_name = aws_cloudwatch_log_group.host.name
  pattern        = "?critical ?\" error \" ?\"the enclave ended\""
  metric_transformation {
    name          = "Errors"
    namespace     = var.name
    value         = "1"
    default_value = "0"
  }
}

locals {
  alarms = {
    # No number at all is an instance or a daemon that is gone.
    daemon = {
      metric = "DaemonAnswers", statistic = "Minimum", comparison = "LessThanThreshold", threshold = 1, minutes = 5, missing = "breaching"
      text   = "The daemon does not answer: journalctl -u ephemeral-daemon, and /var/log/ephemeral/daemon.log."
    }
    dead = {
      metric = "DeadJobs", statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = 0, minutes = 1, missing = "notBreaching"
      text   = "Jobs ended as dead: ephemeral queue list --state dead, then queue inspect and queue retry."
    }
    queue = {
      metric = "OldestReadySeconds", statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = 3600, minutes = 5, missing = "notBreaching"
      text   = "A job has waited for an hour: is the enclave up, and does KMS release to this image?"
    }
    errors = {
      metric = "Errors", statistic = "Sum", comparison = "GreaterThanThreshold", threshold = 0, minutes = 1, missing = "notBreaching"
      text   = "The daemon or the enclave complained: see the log group."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "host" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = var.name
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.minutes
  treat_missing_data  = each.value.missing
  alarm_actions       = [module.topic.arn]
  ok_actions          = [module.topic.arn]
}

resource "aws_cloudwatch_metric_alarm" "instance" {
  alarm_name          = "${var.name}-instance"
  alarm_description   = "The instance fails its status checks."
  namespace           = "AWS/EC2"
  metric_name         = "StatusCheckFailed"
  dimensions          = { AutoScalingGroupName = aws_autoscaling_group.host.name }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = [module.topic.arn]
}

resource "aws_cloudwatch_log_metric_filter" "kms_refused" {
  count          = var.cloudtrail_log_group_name == null ? 0 : 1
  name           = "${var.name}-kms-refused"
  log_group_name = var.cloudtrail_log_group_name
  pattern        = "{ ($.eventSource = \"kms.amazonaws.com\") && ($.errorCode = \"AccessDenied*\") && ($.userIdentity.sessionContext.sessionIssuer.arn = \"${aws_iam_role.instance.arn}\") }"
  metric_transformation {
    name          = "KMSRefused"
    namespace     = var.name
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_metric_alarm" "kms_refused" {
  count               = var.cloudtrail_log_group_name == null ? 0 : 1
  alarm_name          = "${var.name}-kms-refused"
  alarm_description   = "KMS refuses this host: is the image's PCR0 in the key policies? Or is someone trying without an enclave?"
  namespace           = var.name
  metric_name         = "KMSRefused"
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [module.topic.arn]
}
