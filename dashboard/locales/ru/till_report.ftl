# The till’s figures, statements and papers.
place-till-statements = Выписки
place-till-exposure = Лимиты и долги
place-till-revenue = Выручка
place-till-discounts = Данные скидки
place-till-ageing = Неоплаченное по срокам

# Papers: receipts, slips, statements, closings.
paper-page = Страница { $n } из { $m }
paper-receipt-paid = Квитанция
paper-receipt-refunded = Возврат денег №
paper-receipt-returned = Отмена платежа №
paper-receipt-short = квитанция
paper-total-paid = Оплачено
paper-total-refunded = Возвращено
paper-total-returned = Отменено
paper-when = Когда
paper-day = День
paper-patient = Пациент
paper-payer = Плательщик
paper-method = Способ
paper-no = №
paper-service = Услуга
paper-price = Цена
paper-discount = Скидка
paper-to-pay = К оплате
paper-paid = Оплачено
paper-together = Итого
paper-rest-deposit = Депозит пациента
paper-was-returned = Этот платёж позже отменён: услуги снова подлежат оплате.
paper-slip = Что сделано { $a }
paper-slip-none = В этот день ничего не зарегистрировано и не оплачено, и долгов нет.
paper-made = По состоянию на
paper-services = Услуги
paper-payments = Платежи
paper-payment = Платёж
paper-open-now = Сейчас не оплачено
paper-open-rendered = К оплате за оказанное
paper-open-ordered = К оплате до оказания
paper-held = Оплачено и ещё не оказано
paper-deposit = Остаток депозита
paper-limit = Лимит последующей оплаты
paper-limit-left = осталось { $left } из { $limit }
paper-statement-patient = Выписка
paper-statement-payer = Выписка по группе или договору
paper-statement-everybody = Книга дня клиники
paper-statement-cashier = Выписка по кассиру
paper-statement-shift = Выписка по смене
paper-days = Дни
paper-currency = Валюта
paper-what = Что
paper-charged = Начислено
paper-credited = Оплачено или отменено
paper-within = Из депозита
paper-in = Наличные: приход
paper-out = Наличные: расход
paper-not-cash = Безналично
paper-balance = Остаток
paper-opening = На начало
paper-closing = На конец
paper-drawer = Закрытие кассы { $drawer }, смена { $no }
paper-cashier = Кассир
paper-opened = Открыта
paper-closed = Закрыто
paper-not-closed = ещё не закрыто
paper-by-method = По способам
paper-count = Платежей
paper-taken = Принято
paper-given = Возвращено
paper-counted-title = Пересчитано
paper-should = Должно быть
paper-counted = Пересчитано
paper-difference = Разница
paper-slips = чеки терминала
paper-float = Размен
paper-difference-reason = Причина разницы
paper-reason-change = ошибка при выдаче сдачи
paper-reason-counting = ошибка при пересчёте
paper-reason-counterfeit = фальшивая купюра или монета
paper-reason-slips = чеки терминала
paper-reason-unexplained = причина неизвестна
paper-reason-other = другое; слова — в журнале аудита
paper-waiting = Платежей ждут терминала
paper-signatures = Кассир: ______________________     Принял: ______________________
paper-day-closing = Закрытие дня { $a }
paper-day-nothing = В этот день ничего не начислено и не оплачено.
paper-day-in = В { $a }
paper-day-charges = Услуг зарегистрировано
paper-day-cancelled = Услуг отменено
paper-day-revenue = Услуги по цене
paper-day-net = После скидок
paper-day-deposit-in = В депозиты
paper-day-deposit-out = Из депозитов
paper-day-unpaid-count = Неоплаченных начислений
paper-day-unpaid = Не оплачено
paper-last-row = Последняя строка книги
paper-audit-entry = Запись журнала аудита

# Figures.
report-from = С
report-until = По
report-paper = На бумаге
report-cut = { $n ->
    [one] Ещё { $n } строка — в файле.
    [few] Ещё { $n } строки — в файле.
   *[many] Ещё { $n } строк — в файле.
    }
report-none-title = Здесь ничего нет
report-none-text = За эти дни и в этой валюте ничего нет.
report-problem-denied = Ваша роль не показывает эту выписку.
report-problem-none = Такого пациента, группы, кассира или смены нет.
report-problem-days = Выберите меньше дней: первый не может быть после последнего, а в выписке не более 20 000 строк.
report-problem-which = Укажите, чья это выписка.
report-problem-typed = Введённое нельзя понять. Исправьте и запросите снова.
report-per-cent = { $n } %
report-groups = Группы и договоры
report-group = Группа или договор
report-shared-limit = Общий лимит
report-no-pot = нет
report-used = Использовано
report-share = Доля
report-owed = Долг
report-owing = Должны / участников
report-limit = Лимит
report-patients = Пациенты
report-overrides = Разрешено сверх лимитов
report-whose = Чей лимит
report-extra = Сверх
report-why = Почему
report-by = Кем
report-state = Состояние
report-open = действует
report-over = истекло
report-ended = прекращено
report-only-near = только от 80 %
report-near = { $n ->
    [0] Нет лимитов на исходе
    [one] { $n } лимит на исходе
    [few] { $n } лимита на исходе
   *[many] { $n } лимитов на исходе
    }
report-sum-by = Суммировать по
report-by-service = Услуга
report-by-staff = Специалист
report-by-room = Кабинет
report-by-hour = Час
report-by-day = День
report-nowhere = без указания
report-earned = { $net } после скидок на { $discount }
report-written-off = Списано
report-rendered = Оказано
report-cancelled = Отменено
report-net = После скидок, { $a }
report-discounted = { $discount } с цен на { $gross }
report-scheme = Шкала
report-scheme-version = { $name }, версия { $version }
report-step = От суммы
report-rate = Ставка
report-age = { $a } дней
report-charges = Начислений
report-by-terms = По условиям
report-terms-of = Условия
report-oldest = Самое раннее
report-old = { $n ->
    [0] Ни у кого нет долга старше 90 дней
    [one] У { $n } пациента есть долг старше 90 дней
   *[other] У { $n } пациентов есть долг старше 90 дней
    }
report-of = Выписка
report-id = Идентификатор
report-of-everybody = по всей клинике
report-of-patient = по пациенту
report-of-payer = по группе или договору
report-of-cashier = по кассиру
report-of-shift = по смене
report-lines = { $n ->
    [one] { $n } строка
    [few] { $n } строки
   *[many] { $n } строк
    }
